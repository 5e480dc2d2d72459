// SPDX-License-Identifier: Apache-2.0
// What `audit` compares: desired against what datapath, authority and store hold. Pure; Runtime::audit gathers.
#pragma once
#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "splitnve/agent/effects.hpp"
#include "splitnve/datapath/difference.hpp"
#include "splitnve/host/control.hpp"

namespace splitnve::daemon {

/// Records that hold octets, by key.
std::vector<Difference> differences(std::span<const agent::StoreRecord> want, std::span<const agent::StoreRecord> have);
/// What has to be committed to make `have` the same as `want`.
std::vector<agent::StoreRecord> repairs(std::span<const agent::StoreRecord> want,
                                        std::span<const agent::StoreRecord> have);
/// Rows that are mapped, by VN and address: owner, generation and forwarding must agree.
std::vector<Difference> differences(std::span<const agent::AuthorityRow> want,
                                    std::span<const agent::AuthorityRow> have);
std::vector<Difference> differences(std::span<const agent::AuthorityTag> want,
                                    std::span<const agent::AuthorityTag> have);

struct AuditReport {
  struct Finding {
    const char* plane = "";  ///< datapath, authority, store
    Difference difference;
  };
  std::vector<Finding> findings;
  std::size_t fixed = 0;
  std::vector<std::string> compared, not_compared;  ///< planes

  void add(const char* plane, std::vector<Difference> found);
};
/// Rows `{plane, row, difference}`.
host::RowSource stream_findings(std::vector<AuditReport::Finding> findings);
/// `{differences, fixed, compared, not_compared}`.
nlohmann::json result_of(const AuditReport& report);

}  // namespace splitnve::daemon
