// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <boost/container/devector.hpp>
#include <boost/container/small_vector.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "splitnve/base/bytes.hpp"
#include "splitnve/base/deadline_heap.hpp"
#include "splitnve/base/ids.hpp"
#include "splitnve/base/limits.hpp"
#include "splitnve/base/slab.hpp"
#include "splitnve/base/time.hpp"
#include "splitnve/vdp/codec.hpp"
#include "splitnve/vdp/exchange.hpp"
#include "splitnve/vdp/extensions.hpp"
#include "splitnve/vdp/index_list.hpp"
#include "splitnve/vdp/standing_queue.hpp"
#include "splitnve/vdp/statement.hpp"
#include "splitnve/vdp/timers.hpp"
#include "splitnve/vdp/vn_bridge.hpp"

namespace splitnve::limits {
/// Requests of one station for one VSI that are not answered yet; more are dropped, and the station repeats them. It
/// needs two.
inline constexpr std::size_t kRequestsPerVsiMax = 32;
}  // namespace splitnve::limits

namespace splitnve::vdp {

using RequestId = StrongId<struct RequestIdTag, std::uint64_t>;
/// The flags of VNs that have some.
using VnAttributesOf = boost::unordered_flat_map<GroupId, std::uint16_t>;
using Entries = boost::container::small_vector<FilterEntry, 2>;

/// A station's command as the agent decides on it.
struct Request {
  RequestId id;
  TlvType command = TlvType::kAssociate;
  bool suspended = false;
  Migration migration = Migration::kUnknown;  ///< as our TLV says, else as far as the bits do
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
///                                        '- overtaken by a De-Associate of its VSI and entries: answered code 4 (S3)
///
/// What cannot be decoded is answered code 1 if its VSI can be read, and is counted else. A refusal that the machine
/// itself decides (malformed, overtaken, too many) touched nothing and says KEEP. After handle_vdpdu() drain
/// poll_request(); when the ECP session is ready call compose().
class Bridge {
 public:
  enum class RequestState : std::uint8_t { kReceived, kDeciding, kAnswered, kSent };

  Bridge(Timing timing, Duration decision_deadline) : timing_(timing), decision_deadline_(decision_deadline) {}

  // --- wire ---
  /// The most that one VDPDU can ask for: requests, and the memory that they and their answers take.
  static constexpr std::size_t kVdpduRequestsMax = limits::kVdpduOctetsMax / 25;
  static constexpr std::size_t kVdpduEntriesMax = limits::kVdpduOctetsMax / 2;
  static const std::size_t kVdpduOctetsHeldMax;
  /// The memory that requests, answers and commands take now.
  std::size_t held_octets() const { return rows_.size() * sizeof(Row) + entries_ * sizeof(FilterEntry); }
  /// Is there room for what any VDPDU can hold? Who hands one over without is told so by code 2, and then by nothing.
  bool has_room() const;
  /// A structurally broken VDPDU is refused whole with its error; nothing of it is processed.
  Decoded<Heard> handle_vdpdu(Octets vdpdu, Instant now);
  /// Writes the next VDPDU; false when nothing waits to be sent. One ECP manager TLV per VDPDU, so answers to different
  /// managers go out in different ones. A VDPDU before it whose outcome was not told counts as failed. `show` goes with
  /// it.
  bool compose(OctetString& out, Instant now, const Capabilities* show = nullptr);
  void handle_delivered(Instant now);
  /// Commands are queued again, and answers unless a newer request for the same entries has come meanwhile (S10).
  void handle_delivery_failed(Instant now);

  /// Holds for requests that come from now on.
  void set_decision_deadline(Duration deadline) { decision_deadline_ = deadline; }

  // --- decisions ---
  /// Visits the requests that poll_request() will give.
  template <class F>
  void for_each_received(F&& visit) const {
    for (std::uint32_t i = received_.front(); i != IndexLink::kNone; i = rows_[i].link.next) visit(rows_[i].request);
  }
  std::optional<Request> poll_request();
  /// `entries` must repeat the request's in order, VIDs filled (G6); a refusal may leave them out. An id that was
  /// cancelled or expired is ignored. A refusal may say why, to a peer that understands it; so may a success, of what
  /// is held of its entries (S7).
  void respond(RequestId id, ResponseStatus status, std::span<const FilterEntry> entries, ReasonText why = {});
  /// A request whose decision deadline passed (S29); it has been answered code 3 (KEEP for an existing VSI is the
  /// caller's knowledge: `keep_on_expiry` below). Later respond() calls for it are ignored.
  std::optional<RequestId> poll_expired(Instant now);
  /// Tells that an expiry of this request must say KEEP, because the VSI existed before.
  void set_keep_on_expiry(RequestId id, bool keep);
  /// Tells that the request asks for what stands: however long it waits, it is answered success. `entries` as for
  /// respond().
  void set_success_on_expiry(RequestId id, std::span<const FilterEntry> entries);
  /// Was it answered success, by its expiry or otherwise?
  bool succeeded(RequestId id) const;
  /// Visits the requests that are being decided.
  template <class F>
  void for_each_deciding(F&& visit) const {
    rows_.for_each([&](std::uint32_t, const Row& row) {
      if (row.state == RequestState::kDeciding) visit(row.request);
    });
  }
  /// Bridge-initiated De-Associate (status 0, same key): the station answers with the ECP ack only. No entries: the
  /// whole VSI. `why` as for respond().
  void deassociate(const ManagerId& manager, const VsiType& type, const VsiId& vsi, FilterFormat format,
                   std::span<const FilterEntry> entries, ReasonText why = {});
  /// Bridge-initiated deactivate: the entries are reserved only, until the station is let in again. A station without
  /// the flag is told to De-Associate them (S20).
  void deactivate(const ManagerId& manager, const VsiType& type, const VsiId& vsi, FilterFormat format,
                  std::span<const FilterEntry> entries, ReasonText why = {});

  /// What we have said that we understand; formats with IPs are code 1 without their flag.
  void set_offered(Flags offered) {
    offered_ = offered;
    vns_.set_offered(offered);
    standings_.set_offered(offered);
  }
  /// What the station has shown (E7).
  void set_peer(Flags peer) {
    peer_ = peer;
    vns_.set_peer(peer);
    standings_.set_peer(peer);
  }
  /// What answers tell of the VNs that they grant, to a station with the flag. Null: nothing. It outlives this.
  void set_attributes(const VnAttributesOf* of) { attributes_ = of; }
  /// Whole VNs, which share the VDPDUs.
  VnBridge& vns() { return vns_; }
  const VnBridge& vns() const { return vns_; }
  /// What is held of the station, which shares the VDPDUs as well.
  StandingQueue& standings() { return standings_; }
  const StandingQueue& standings() const { return standings_; }
  /// An entry of a deactivate of ours that the station has answered.
  struct LetGo {
    VsiId vsi;
    GroupId group;
    MacAddress mac;
  };
  std::optional<LetGo> poll_let_go();
  /// Of one VDPDU, at most and by default limits::kVdpduOctetsMax: what is added behind compose() needs room.
  void set_vdpdu_octets_max(std::size_t octets) { vdpdu_octets_max_ = octets; }

  std::optional<Instant> next_deadline() const;
  bool queued() const { return !ready_.empty() || vns_.queued() || standings_.queued(); }
  /// Requests handed out by poll_request() and not answered yet.
  std::size_t deciding() const { return deciding_; }
  /// Where a request is; `nullopt` when it is gone.
  std::optional<RequestState> state(RequestId id) const;
  struct Stats {
    std::uint64_t requests = 0, responses = 0, refused = 0, malformed_tlvs = 0, skipped_tlvs = 0, cancelled = 0,
                  expired = 0, overflow = 0, commands = 0, commands_answered = 0, stray_responses = 0;
  };
  const Stats& stats() const { return stats_; }

 private:
  std::size_t vdpdu_octets_max_ = limits::kVdpduOctetsMax;
  static constexpr std::uint32_t kNone = IndexLink::kNone;
  enum class Kind : std::uint8_t { kRequest, kHeadOnly, kCommand };
  struct Row {
    Request request;
    Kind kind = Kind::kRequest;
    RequestState state = RequestState::kReceived;
    std::uint8_t status = 0;  ///< status octet to send
    bool keep_on_expiry = false;
    bool success_on_expiry = false;
    bool explained = false;             ///< `why_` has its reason
    IndexLink link;                     ///< in received_ or ready_
    std::uint32_t next_of_vsi = kNone;  ///< the VSI's next younger request
  };
  using Rows = Slab<Row, 32>;
  /// The requests of one VSI that are not sent yet, at most limits::kRequestsPerVsiMax, oldest first: only the first
  /// one's answer may go out.
  struct Chain {
    std::uint32_t first = kNone;
    std::uint32_t last = kNone;
    std::uint32_t length = 0;
  };

  bool offers(FilterFormat format) const;
  void handle_statement(const ManagerId& manager, const Statement& statement, Instant now);
  /// Makes a row of the request; false if there is no room to answer it even.
  struct Verdict {
    ResponseStatus status;
    const char* why;
  };
  bool admit(Request request, Kind kind, std::optional<Verdict> verdict, Instant now);
  void overtake(const Request& deassociate);
  void take_let_go(const Tlv& answer);
  void command(const Request& base, std::span<const FilterEntry> entries, ReasonText why);
  void answer(std::uint32_t index, ResponseStatus status, ReasonText why);
  void explain(std::uint32_t index, ReasonText why);
  std::uint32_t leave_chain(std::uint32_t index);
  bool write(VdpduWriter& writer, std::uint32_t index) const;
  using Attributes = boost::container::static_vector<VnAttributes, kAttributesPerStatementMax>;
  Attributes attributes_of(const Row& row) const;
  bool still_current(const Row& row) const;
  void erase(std::uint32_t index);
  std::uint32_t find(RequestId id) const;

  Timing timing_;
  Duration decision_deadline_;
  Flags offered_;
  Flags peer_;
  const VnAttributesOf* attributes_ = nullptr;
  VnBridge vns_;
  StandingQueue standings_;
  boost::container::devector<LetGo> let_go_;
  Rows rows_;
  boost::unordered_flat_map<VsiId, Chain, boost::hash<VsiId>> chains_;
  struct Why {
    std::uint16_t cause = 0;
    std::string text;
  };
  boost::unordered_flat_map<std::uint32_t, Why> why_;  ///< by row: few answers are refusals
  IndexList received_;
  IndexList ready_;
  DeadlineHeap deadlines_;
  std::vector<std::uint32_t> sent_;  ///< rows of the VDPDU under way, in its order
  std::size_t requests_ = 0;         ///< rows that are no commands
  std::size_t entries_ = 0;          ///< of these rows
  std::size_t deciding_ = 0;
  std::uint32_t serial_ = 0;
  Stats stats_;
};

inline constexpr std::size_t Bridge::kVdpduOctetsHeldMax =
    kVdpduRequestsMax * sizeof(Row) + kVdpduEntriesMax * sizeof(FilterEntry);

}  // namespace splitnve::vdp
