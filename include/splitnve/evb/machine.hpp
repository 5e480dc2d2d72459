// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>

#include "splitnve/base/bytes.hpp"
#include "splitnve/base/ids.hpp"
#include "splitnve/base/time.hpp"
#include "splitnve/evb/lldp.hpp"
#include "splitnve/evb/tlv.hpp"

namespace splitnve::evb {

/// LLDPDUs are sent this often (IEEE 802.1AB msgTxInterval); a neighbour holds them for four times as long.
inline constexpr Duration kLldpInterval = std::chrono::seconds(30);
/// After a change or a new neighbour so many are sent at the short interval, so that one loss costs a second. The short
/// interval is also the least between any two, whatever the neighbour does.
inline constexpr Duration kLldpFastInterval = std::chrono::seconds(1);
inline constexpr unsigned kLldpFastCount = 4;
/// How long a neighbour's word is believed at most, whatever it says: four intervals of ours, or of the standard's
/// default, and a second (S40).
Duration longest_hold(Duration interval);
/// What a parameter may be at least: an ack timer below 160 us or a keep-alive below 10 ms only makes load (S19).
inline constexpr Parameters kParametersLeast{0, 4, 10, 15};
/// What a neighbour may make of a parameter: 10 s of ack timer, three minutes of keep-alive. Beyond it a lost peer
/// would be noticed too late, and VDP is refused rather than run with other timers than the neighbour's (S19).
inline constexpr Parameters kParametersMost{7, 20, 24, 24};

/// What the link runs with.
struct Operational {
  Parameters values;
  bool negotiated = false;  ///< an EVB neighbour is there; else `values` are our own
  bool acceptable = true;   ///< no value is above kParametersMost
  bool group_ids = true;    ///< formats with GroupID may be used: both ends can, or nothing was negotiated
  bool reflective_relay = false;
  friend bool operator==(const Operational&, const Operational&) = default;
};

/// The values in the field's words: "R 3, RTE 8, RWD 20, RKA 20".
std::string to_string(const Parameters& values);

/// EVB on one port, either role: announces, listens to the one neighbour, and negotiates by the max rule.
///
///            LLDPDU with EVB TLV of the other role
///   Alone ------------------------------------------> Neighboured --+ the neighbour again: values, expiry
///     ^                                                    |   ^----+
///     +--- TTL over, goodbye (TTL 0), EVB TLV gone, link down
///
/// Operational values are the greater of ours and the neighbour's. R and RTE are what it announces. RWD and RKA with
/// ROL = 1 are what it learned of us: they tell only that its own are not greater. After a decrease of ours the
/// neighbour repeats what we said before, so for two intervals we announce our value and do not listen to its (S19).
/// The neighbour is one (source, destination group): others, and LLDP without EVB, change nothing.
/// Nothing is sent before the link is told to be up. After any call drain poll_frame() and poll_change().
class Machine {
 public:
  struct Config {
    Role role = Role::kStation;
    MacAddress own_mac;
    LldpId chassis;
    LldpId port;
    Parameters values;
    bool group_ids = true;
    bool reflective_relay = false;  ///< bridge: capable of it; station: wants it
    Duration interval = kLldpInterval;
  };
  struct Neighbour {
    MacAddress source;
    MacAddress destination;  ///< the group that it speaks to
    LldpId chassis;
    LldpId port;
    Tlv heard;
    std::uint16_t ttl_seconds = 0;
    Instant heard_at{};
    Instant expires{};
    /// The neighbour's own values as far as it has told: R, RTE, RWD, RKA.
    std::array<std::optional<unsigned>, 4> own;
  };
  struct Alone {};
  struct Neighboured {
    Neighbour neighbour;
  };
  using State = std::variant<Alone, Neighboured>;
  /// Something operational changed, or the neighbour came, went or began anew.
  struct Change {
    Operational before;
    Operational now;
    const char* reason = "";
    bool restarted = false;  ///< the neighbour has forgotten us: it may have lost more
  };
  struct Stats {
    std::uint64_t sent = 0, received = 0, ignored = 0;
  };

  explicit Machine(Config config);

  /// A frame for which is_lldp() holds. An error is why it changed nothing; the caller counts it.
  Decoded<void> handle_frame(Octets frame, Instant now);
  void handle_time(Instant now);
  /// Down: the neighbour is forgotten, nothing is sent. Up: it is announced at once.
  void handle_link(bool up, Instant now);
  /// Our own values change; within kParametersLeast and kParametersMost.
  void set_values(const Parameters& values, Instant now);
  /// Says goodbye (TTL 0) and stays silent until the link comes up again.
  void shut_down(Instant now);

  bool poll_frame(OctetString& out);
  std::optional<Change> poll_change();
  std::optional<Instant> next_deadline() const;

  const Operational& operational() const { return operational_; }
  /// What we announce: the operational values, our status, and the neighbour's status as it told it.
  const Tlv& announced() const { return announced_; }
  const Neighbour* neighbour() const;
  const Config& config() const { return config_; }
  void set_own_mac(MacAddress mac) { config_.own_mac = mac; }
  const Stats& stats() const { return stats_; }

 private:
  Decoded<void> take(LldpFrame frame, Instant now);
  void forget(const char* reason, Instant now);
  void enter(State next, const char* reason, bool restarted, Instant now);
  /// Derives what holds and what is announced from values, state and latches; tells and sends what differs.
  void settle(const char* reason, bool restarted, Instant now);
  void announce_soon(Instant now);
  std::optional<unsigned> theirs(std::size_t parameter) const;
  Operational derive() const;
  Tlv compose() const;
  LldpFrame pdu(std::uint16_t ttl_seconds) const;

  Config config_;
  State state_{Alone{}};
  std::array<std::optional<Instant>, 4> latches_;  ///< by parameter: its decrease is being told until then
  Operational operational_;
  Tlv announced_;
  bool up_ = false;
  bool send_ = false, goodbye_ = false;  ///< owed to poll_frame()
  unsigned fast_left_ = 0;
  Instant next_send_{};
  std::optional<Instant> sent_at_;
  std::deque<Change> changes_;
  Stats stats_;
};

}  // namespace splitnve::evb
