// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <boost/container/devector.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "splitnve/base/ids.hpp"
#include "splitnve/vdp/codec.hpp"
#include "splitnve/vdp/extensions.hpp"

namespace splitnve::vdp {

/// What a bridge hears from one station about whole VNs, its answers, and its own commands (S30). Requests wait for
/// poll_request() only; of several commands about one VN the last is sent. Nothing is done for, or sent to, a station
/// that has not shown the flag (E7). At most limits::kVnConnectsPerStationMax requests and answers wait; the station
/// repeats.
class VnBridge {
 public:
  void set_offered(Flags offered) { offered_ = offered; }
  void set_peer(Flags peer);

  struct Asked {
    VnRequest request;
    std::optional<VnName> name{};  ///< of the VN, instead of its ID
  };
  void handle(const VnRequest& request, const std::optional<VnName>& name = {});
  std::optional<Asked> poll_request();
  /// `response` is the request with its status, ID and VID filled in; `name` is said again.
  void respond(const VnRequest& response, ReasonText why = {}, const std::optional<VnName>& name = {});
  void command(GroupId vn, VnRequest::Operation operation, ReasonText why = {});

  bool queued() const { return !answers_.empty() || !commands_.empty(); }
  /// As VnStation.
  bool write(VdpduWriter& writer);
  void handle_delivered();
  void handle_delivery_failed();

  struct Stats {
    std::uint64_t requests = 0, refused = 0, commands = 0, commands_answered = 0, overflow = 0, unused = 0;
  };
  const Stats& stats() const { return stats_; }

 private:
  struct Said {
    VnRequest request;
    std::uint16_t cause = 0;
    std::string why;
    std::optional<VnName> name;
  };
  bool able() const { return offered_.has(Flag::kVnRequests) && peer_.has(Flag::kVnRequests); }
  Said said(const VnRequest& request, ReasonText why) const;
  bool write_one(VdpduWriter& writer, const Said& said) const;

  Flags offered_;
  Flags peer_;
  boost::container::devector<Asked> asked_;
  boost::container::devector<Said> answers_;
  std::map<GroupId, Said> commands_;
  std::vector<Said> sent_answers_, sent_commands_;
  Stats stats_;
};

}  // namespace splitnve::vdp
