// SPDX-License-Identifier: Apache-2.0
// `tsi apply FILE`: many TSIs in few requests, several of them on their way at once.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "splitnve/base/result.hpp"
#include "splitnve/base/time.hpp"

namespace splitnve::vdpctl {

/// TSIs in one request, and octets of their JSON: a request line of the daemon is at most 64 KiB.
inline constexpr std::size_t kChunkTsisMax = 400;
inline constexpr std::size_t kChunkOctetsMax = 60'000;
/// Requests on their way at once. The daemon asks the nNVE for all of them together.
inline constexpr std::size_t kApplyConnections = 4;

/// The `args` of each request. A TSI that alone is too large has a request of its own, which the daemon refuses.
std::vector<nlohmann::json> chunks_of(const nlohmann::json& tsis);

struct ApplyVerdict {
  std::size_t accepted = 0;
  nlohmann::json refused = nlohmann::json::array();  ///< objects {vsi, reason}
};
/// Blocks until the daemon has decided all. Error: the first request that failed as a whole; others may be applied.
Result<ApplyVerdict> apply_all(const std::string& socket, const std::vector<nlohmann::json>& chunks,
                               Duration silence_max);

}  // namespace splitnve::vdpctl
