// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <boost/container/small_vector.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "splitnve/base/bytes.hpp"
#include "splitnve/base/deadline_heap.hpp"
#include "splitnve/base/ids.hpp"
#include "splitnve/base/time.hpp"
#include "splitnve/vdp/codec.hpp"
#include "splitnve/vdp/timers.hpp"

namespace splitnve::vdp {

using RequestId = StrongId<struct RequestIdTag, std::uint64_t>;
using Entries = boost::container::small_vector<FilterEntry, 2>;

/// A station's command as the agent decides on it.
struct Request {
  RequestId id;
  TlvType command = TlvType::kAssociate;
  bool suspended = false;
  bool migrating = false;
  ManagerId manager;
  VsiType type;
  VsiId vsi;
  FilterFormat format = FilterFormat::kGroupMacVid;
  Entries entries;
};

/// The bridge side of VDP towards one station: turns VDPDUs into requests, answers in the order of each VSI's requests,
/// packs answers and commands of its own into as few VDPDUs as fit. It owns requests and answers, not TSI state.
///
///   request: Received -poll_request-> Deciding -respond()-> Answered -compose()-> Sent -ECP delivered-> gone
///                                        |  deadline: poll_expired()               '-ECP failed-> Answered
///                                        '- overtaken by a De-Associate of the same VSI: answered code 4 (S3)
///
/// What cannot be decoded is answered code 1 if its VSI can be read, and is counted else. After handle_vdpdu() drain
/// poll_request(); when the ECP session is ready call compose().
class Bridge {
 public:
  Bridge(Timing timing, Duration decision_deadline) : timing_(timing), decision_deadline_(decision_deadline) {}

  // --- wire ---
  /// A structurally broken VDPDU is refused whole with its error; nothing of it is processed.
  Decoded<void> handle_vdpdu(Octets vdpdu, Instant now);
  /// Writes the next VDPDU; false when nothing waits to be sent. One ECP manager TLV per VDPDU, so answers to different
  /// managers go out in different ones.
  bool compose(OctetString& out, Instant now);
  void handle_delivered(Instant now);
  /// Answers whose VSI has had no newer request meanwhile, and commands, are queued again (S10).
  void handle_delivery_failed(Instant now);

  // --- decisions ---
  std::optional<Request> poll_request();
  /// `entries` must repeat the request's in order, VIDs filled (G6). An id that was cancelled or expired is ignored.
  void respond(RequestId id, ResponseStatus status, std::span<const FilterEntry> entries);
  /// A request whose decision deadline passed (S29); it has been answered code 3 (KEEP for an existing VSI is the
  /// caller's knowledge: `keep_on_expiry` below). Later respond() calls for it are ignored.
  std::optional<RequestId> poll_expired(Instant now);
  /// Tells that an expiry of this request must say KEEP, because the VSI existed before.
  void set_keep_on_expiry(RequestId id, bool keep);
  /// Bridge-initiated De-Associate (status 0, same key): the station answers with the ECP ack only.
  void deassociate(const ManagerId& manager, const VsiType& type, const VsiId& vsi, FilterFormat format,
                   std::span<const FilterEntry> entries);

  std::optional<Instant> next_deadline() const;
  bool queued() const;
  std::size_t deciding() const;
  struct Stats {
    std::uint64_t requests = 0, responses = 0, refused = 0, malformed_tlvs = 0, skipped_tlvs = 0, cancelled = 0,
                  expired = 0, overflow = 0, commands = 0, stray_responses = 0;
  };
  const Stats& stats() const { return stats_; }
};

}  // namespace splitnve::vdp
