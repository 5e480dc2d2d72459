// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "splitnve/base/bytes.hpp"
#include "splitnve/base/ids.hpp"
#include "splitnve/base/limits.hpp"
#include "splitnve/base/time.hpp"
#include "splitnve/ecp/header.hpp"

namespace splitnve::ecp {

/// The operational ECP parameters of a link (EVB TLV, IEEE 802.1Q): R and RTE.
struct Timing {
  unsigned retries_max = 3;              ///< R, 0..7
  unsigned retransmission_exponent = 8;  ///< RTE, 4..31: the ack timer is 10 us x 2^RTE
  Duration ack_timer() const { return std::chrono::microseconds(10) * (1LL << retransmission_exponent); }
  /// How long an identical ECPDU counts as a duplicate: max(1 s, 2 (1 + R) ack timers) (S11).
  Duration duplicate_window() const {
    return std::max<Duration>(std::chrono::seconds(1), 2 * (1 + static_cast<int>(retries_max)) * ack_timer());
  }
};

/// The sending half: one ECPDU outstanding, R identical retransmissions, then one more ack timer, then failure.
///
///            send()                      handle_ack(own sequence): Delivered
///   Idle ------------> AwaitingAck --------------------------------------------> Idle
///                      |  ^ timer, retries left: retransmit                       ^
///                      +--+                                                       |
///                      +--- timer, no retries left: Failed -----------------------+
///
/// After any call drain poll_transmit(), then poll_outcome().
class Transmitter {
 public:
  enum class Outcome : std::uint8_t { kDelivered, kFailed };
  struct Idle {};
  struct AwaitingAck {
    EcpSequence sequence;
    unsigned retries_left;
    Instant resend_at;
  };
  using State = std::variant<Idle, AwaitingAck>;
  struct Pdu {
    EcpSequence sequence;
    Octets payload;  ///< valid until the next non-const call
  };
  struct Stats {
    std::uint64_t sent = 0, retransmitted = 0, delivered = 0, failed = 0, unexpected_acks = 0;
  };

  /// `first` is random, so that a restart is not taken for a duplicate (S11).
  Transmitter(Timing timing, EcpSequence first);

  bool ready() const { return std::holds_alternative<Idle>(state_) && !outcome_; }
  /// Requires ready() and at most limits::kVdpduOctetsMax octets.
  void send(Octets payload, Instant now);
  /// True if the ack was for the outstanding ECPDU.
  bool handle_ack(EcpSequence sequence, Instant now);
  /// Retransmits or gives up when the ack timer has run out. True if the ECPDU failed in this very call.
  bool handle_time(Instant now);
  /// Holds from the next ack timer and the next ECPDU on.
  void set_timing(Timing timing);
  /// Forgets the outstanding ECPDU and an outcome not yet polled (link down). Sequence numbers go on.
  void reset();

  /// The outstanding ECPDU has failed, now.
  void abandon();
  /// Of the next send().
  EcpSequence next_sequence() const { return next_; }

  std::optional<Pdu> poll_transmit();
  std::optional<Outcome> poll_outcome();
  std::optional<Instant> next_deadline() const;
  const State& state() const { return state_; }
  const Stats& stats() const { return stats_; }

 private:
  Timing timing_;
  EcpSequence next_;
  State state_{Idle{}};
  OctetString payload_;
  bool transmit_ = false;
  std::optional<Outcome> outcome_;
  Stats stats_;
};

/// The receiving half's memory: which ECPDUs were accepted lately (S11).
class Receiver {
 public:
  enum class Verdict : std::uint8_t { kNew, kDuplicate, kStale };
  struct Stats {
    std::uint64_t accepted = 0, duplicates = 0, stale = 0;
  };
  /// Does this (sequence, payload) repeat one of the last 16 accepted within the window? In order, is it behind the
  /// last one accepted?
  Verdict classify(EcpSequence sequence, Octets payload, Instant now, Duration window);
  /// Does it repeat one of those accepted? What classify() would call a duplicate.
  bool remembers(EcpSequence sequence, Octets payload, Instant now, Duration window) const;
  /// Remembers an ECPDU that is being delivered. One refused for lack of room is not remembered, so its repeat is new.
  void accept(EcpSequence sequence, Octets payload, Instant now);
  /// The peer numbers its ECPDUs in order and is in the conversation of the last one accepted: a sequence 1..15 behind
  /// that within the window is an old one, late (serial arithmetic).
  bool is_stale(EcpSequence sequence, Instant now, Duration window) const;
  void set_in_order(bool in_order) { in_order_ = in_order; }
  /// Forgets all: what comes next starts a new conversation.
  void reset();
  const Stats& stats() const { return stats_; }

 private:
  struct Remembered {
    EcpSequence sequence;
    std::uint64_t digest = 0;
    Instant at{};
    bool valid = false;
  };
  std::array<Remembered, limits::kDuplicateMemoryEcpdus> memory_{};
  std::size_t next_ = 0;
  bool in_order_ = false;
  Stats stats_;
};

/// One ECP conversation: our port with one peer MAC. Acknowledges, filters duplicates, holds the bounded inbox, and
/// writes complete Ethernet frames. After any call drain poll_frame(), then poll_outcome().
class Session {
 public:
  struct Config {
    MacAddress own_mac;
    MacAddress peer_mac;
    MacAddress destination = kNearestCustomerBridge;
    Timing timing;
    EcpSequence first_sequence;
  };
  enum class Verdict : std::uint8_t {
    kDelivered,      ///< request: its payload is in the inbox; acknowledged, now or when there is room for the next
    kDuplicate,      ///< request: acknowledged, not delivered
    kStale,          ///< request: behind what was accepted from a peer in order; acknowledged, not delivered
    kInboxFull,      ///< request: no room in the inbox (or for its ack): neither acknowledged nor delivered
    kAck,            ///< our ECPDU is acknowledged
    kUnexpectedAck,  ///< an ack to nothing; ignored
  };

  explicit Session(const Config& config);

  /// `frame` must have come from `peer_mac`.
  Verdict handle_frame(const Frame& frame, Instant now);
  void handle_time(Instant now);
  /// Forgets the outstanding ECPDU (without an outcome), unsent acks, back-off and duplicate memory: a peer that comes
  /// back may have restarted (S11). What was acknowledged stays in the inbox.
  void link_down();
  void set_timing(Timing timing);
  /// The peer has our capabilities and its session goes on: what is behind the last accepted is stale (S11).
  void set_in_order(bool in_order) { receiver_.set_in_order(in_order); }
  /// Would this request be taken for stale? Whoever knows that it begins a new conversation says so first.
  bool is_stale(const Frame& frame, Instant now) const {
    return frame.operation == Operation::kRequest &&
           receiver_.is_stale(frame.sequence, now, config_.timing.duplicate_window());
  }
  void begin_anew() { receiver_.reset(); }
  /// Would handle_frame() acknowledge this request and not deliver it?
  bool repeats(const Frame& frame, Instant now) const {
    return frame.operation == Operation::kRequest &&
           (receiver_.remembers(frame.sequence, frame.payload, now, config_.timing.duplicate_window()) ||
            is_stale(frame, now));
  }
  /// The outstanding ECPDU fails now, without back-off: the peer cannot take it as it is any more.
  void abandon() { transmitter_.abandon(); }
  /// The sequence of the next send(), and what is to be acknowledged: for those who sign frames. What poll_ack() gives
  /// out poll_frame() does not.
  EcpSequence next_sequence() const { return transmitter_.next_sequence(); }
  std::optional<EcpSequence> poll_ack();
  /// Frames go there from now on: to the peer itself, or to a group address.
  void set_destination(MacAddress destination) { config_.destination = destination; }
  void set_own_mac(MacAddress mac) { config_.own_mac = mac; }

  /// May a VDPDU be sent now (nothing outstanding, no back-off running)?
  bool ready(Instant now) const;
  /// Nothing outstanding and no back-off: ready() from now on, without a deadline to wait for.
  bool idle() const { return transmitter_.ready() && !backoff_until_; }
  /// Requires ready(now) and at most limits::kVdpduOctetsMax octets.
  void send(Octets vdpdu, Instant now);
  /// The n-th failure in a row holds ready() back for the ack timer x 2^n, at most limits::kEcpBackoffMax (S10);
  /// next_deadline() covers it. A delivery ends the back-off, and so does a new ECPDU: the peer is there again.
  std::optional<Transmitter::Outcome> poll_outcome();

  /// Oldest received VDPDU (with padding); empty optional when none. Valid until pop_inbox().
  std::optional<Octets> inbox_front() const;
  /// An acknowledgement may have waited for this: drain poll_frame().
  void pop_inbox();
  std::size_t inbox_size() const { return inbox_count_; }

  /// Appends the next frame to send into `out` (cleared first): acks first, then the ECPDU. False when none is left.
  bool poll_frame(OctetString& out);

  std::optional<Instant> next_deadline() const;
  /// When any valid ECP frame last came from this peer.
  Instant last_heard() const { return last_heard_; }
  const Config& config() const { return config_; }
  const Transmitter& transmitter() const { return transmitter_; }
  const Receiver& receiver() const { return receiver_; }

 private:
  Verdict handle_request(const Frame& frame, Instant now);
  void push_inbox(Octets payload);
  void back_off(Instant now);

  Config config_;
  Transmitter transmitter_;
  Receiver receiver_;
  std::vector<OctetString> inbox_;  ///< ring of kInboxEcpdusMax reused buffers
  std::size_t inbox_head_ = 0;
  std::size_t inbox_count_ = 0;
  std::vector<EcpSequence> acks_;        ///< waiting for poll_frame(), bounded
  std::optional<EcpSequence> held_ack_;  ///< of the ECPDU that filled the inbox
  unsigned failures_ = 0;
  std::optional<Instant> backoff_until_;
  Instant last_heard_{};
};

}  // namespace splitnve::ecp
