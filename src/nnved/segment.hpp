// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <boost/container/static_vector.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nnved/config.hpp"
#include "nnved/reason.hpp"
#include "splitnve/base/deadline_heap.hpp"
#include "splitnve/base/time.hpp"

namespace splitnve::nnved {

/// Other bridges told apart on one port; what comes beyond them changes nothing any more.
inline constexpr std::size_t kNeighboursPerPortMax = 8;
/// An announcement is worth this many of its sender's intervals: three may be lost.
inline constexpr int kAnnouncementIntervals = 4;
/// The least time between two announcements on one port, whoever provokes them.
inline constexpr Duration kAnnouncementPause = std::chrono::milliseconds(100);

/// What stands on the segment behind each port besides its stations (S12). Every nNVE announces its VIDs at the start,
/// when a link comes up, when it hears somebody new, and once per keep-alive interval.
///
///   announcement of a bridge ---> its VIDs meet the port's -------> closed to VNs without a VID here (kVidOverlap)
///                            '--> or the port is declared direct -> the same unless its VIDs are configured
///                            (kNotDirect)
///   two stations at once on a direct port ------------------------> the same
///   start of a port that is declared shared -> closed until one interval has been heard (kListening)
///
/// All of it ends with what caused it. What is open stays open. After any call drain poll_announcement() and
/// poll_change().
class SegmentWatch {
 public:
  /// `config` outlives the watch. Does nothing if the configuration does not announce.
  explicit SegmentWatch(const AgentConfig& config);

  // --- inputs ---
  /// The first of them: all that stood before the start is known.
  void begin(Instant now);
  bool has_begun() const { return begun_; }
  /// A bridge's capabilities, ours included, that came in on a port. Where stations must sign nobody else is believed:
  /// that is shown, and changes nothing.
  void handle_bridge(std::uint32_t port, const MacAddress& source, const vdp::Capabilities& shown, Instant now);
  /// LLDP of a bridge: it tells no VIDs.
  void handle_lldp(std::uint32_t port, const MacAddress& source, Duration lifetime, Instant now);
  /// A station's ECPDU that was accepted.
  void handle_station(std::uint32_t port, const MacAddress& station, Instant now);
  void handle_link(std::uint32_t port, bool up, Instant now);
  void handle_time(Instant now);

  // --- outputs ---
  /// A port that announces now.
  std::optional<std::uint32_t> poll_announcement(Instant now);
  /// A port whose verdict is another.
  std::optional<std::uint32_t> poll_change();
  std::optional<Instant> next_deadline() const;

  struct Verdict {
    Reason closed = Reason::kNone;  ///< why no VN without a VID there gets one
    Reason seen = Reason::kNone;    ///< what is wrong, even where nothing is closed for it
    std::string text;               ///< who, and which VIDs; empty: all is well
  };
  const Verdict& verdict(std::uint32_t port) const { return ports_[port].verdict; }
  /// What there is to say behind the reason of a refusal; empty if it is none of ours.
  std::string_view why(std::uint32_t port, Reason reason) const;
  /// Declared direct, and nothing that was heard contradicts it.
  bool is_direct(std::uint32_t port) const;
  std::size_t neighbours(std::uint32_t port) const { return ports_[port].neighbours.size(); }

 private:
  struct Neighbour {
    MacAddress source;
    std::optional<vdp::Capabilities> shown;  ///< LLDP alone shows none
    std::optional<std::uint32_t> own;        ///< a port of ours
    Instant until{};
  };
  struct Station {
    MacAddress mac;
    Instant heard{};
  };
  struct Port {
    boost::container::static_vector<Neighbour, kNeighboursPerPortMax> neighbours;
    Station last, before;  ///< of a direct port
    std::optional<Instant> listens_until;
    Instant announced{};
    unsigned hurried = 0;  ///< announcements that still follow each other fast
    Verdict verdict;
  };
  void note(std::uint32_t port, Neighbour neighbour, Instant now);
  void announce_soon(std::uint32_t port, Instant now);
  void judge(std::uint32_t port, Instant now);
  Verdict verdict_of(std::uint32_t port, Instant now) const;
  std::optional<VidRange> overlap(std::uint32_t port, const Neighbour& neighbour) const;
  std::string name(const Neighbour& neighbour) const;
  std::optional<std::uint32_t> own_port(const MacAddress& source) const;
  bool is_shared(std::uint32_t port) const;
  Duration interval() const { return config_.vdp.keepalive_interval(); }

  const AgentConfig& config_;
  bool begun_ = false;
  std::vector<Port> ports_;
  std::vector<std::uint32_t> changed_;
  DeadlineHeap announce_at_, look_at_;
};

}  // namespace splitnve::nnved
