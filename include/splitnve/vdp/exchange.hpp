// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>

#include "splitnve/base/time.hpp"
#include "splitnve/vdp/extensions.hpp"

namespace splitnve::vdp {

/// What a VDPDU says of its sender, whoever it goes to.
struct Heard {
  std::optional<Capabilities> capabilities;
  bool associations = false;
};
/// Walks a whole VDPDU before anything of it is processed: a broken one is refused whole. Errors: as VdpduReader;
/// capabilities that cannot be read count as absent.
Decoded<Heard> survey(Octets vdpdu);

/// Does it hold nothing but capabilities and authentication, and can be read? What may go to a group address (S17).
bool is_discovery(Octets vdpdu);

/// The capability exchange with one peer (S15): when our TLV goes into an ECPDU, and what the peer has shown.
///
///   Unknown --its capabilities-------------------------------> Capable <--its capabilities-- Legacy (for now)
///      |  ^ reset(): link down, another peer                       '---reset()---> Unknown       ^
///      '--+--- associations without them, or ours are acknowledged and none came for patience() --'
///
/// Our TLV goes into every ECPDU until the peer is Capable and has acknowledged ours, then once per keep-alive
/// interval. A station speaks first. A peer that the configuration marks as legacy is never shown anything.
class Exchange {
 public:
  enum class Verdict : std::uint8_t { kUnknown, kCapable, kLegacy };
  struct Timing {
    Duration ack_timer;
    Duration keepalive_interval;
    Duration patience() const { return std::max<Duration>(3 * ack_timer, std::chrono::milliseconds(100)); }
  };
  /// What an input changed.
  struct Change {
    bool verdict = false;
    bool flags = false;
    bool session = false;     ///< the peer runs anew: it has to be shown ours again
    bool state_lost = false;  ///< another epoch or system than before (S9)
    bool another = false;     ///< another system than before
    friend bool operator==(const Change&, const Change&) = default;
  };

  /// What an operator may know of the peer.
  struct Standing {
    Verdict verdict = Verdict::kUnknown;
    std::optional<Capabilities> peer;  ///< as last shown
    Flags given_up;                    ///< of what we can do, what it has not shown (S20)
  };

  /// `own.nonce` names this conversation, so it is new for every exchange and every reset.
  Exchange(const Capabilities& own, Timing timing, bool marked_legacy);

  // --- inputs ---
  /// What was heard in a VDPDU. Capabilities of our own role are nobody's we talk to, and change nothing.
  Change handle(const Heard& heard, Instant now);
  Change handle_time(Instant now);
  /// The ECPDU that is being sent carries our TLV.
  void handle_sent(Instant now);
  /// The outcome of the last ECPDU, whatever it carried.
  void handle_delivered(Instant now);
  void handle_delivery_failed();
  /// The link went down, or somebody else is there: all is unknown again, but what the peer's state was is remembered.
  void reset(const std::array<std::uint8_t, 16>& nonce);
  /// Somebody has answered at last: the patience that a verdict takes begins now.
  void handle_met(Instant now) {
    if (verdict_at_) verdict_at_ = now + timing_.patience();
  }
  /// The peer has forgotten ours, by its behaviour.
  void show_again(Instant now) {
    if (verdict_ == Verdict::kCapable && !in_flight_) show_at_ = now;
  }
  void set_timing(Timing timing) { timing_ = timing; }
  /// Ours is another from now on, and is shown anew.
  void set_nonce(const std::array<std::uint8_t, 16>& nonce, Instant now);
  /// Before anything is shown.
  void set_epoch(std::uint64_t epoch) { own_.epoch = epoch; }

  // --- what follows ---
  /// Our TLV if it belongs into the next ECPDU, else null.
  const Capabilities* to_show(Instant now) const;
  /// When it is worth an ECPDU of its own; null: not by itself.
  std::optional<Instant> speak_at() const;
  bool speaks(Instant now) const { return speak_at() && *speak_at() <= now; }
  /// A station's requests wait for the verdict (S15).
  bool may_request() const { return verdict_ != Verdict::kUnknown; }
  std::optional<Instant> next_deadline() const { return verdict_ == Verdict::kUnknown ? verdict_at_ : std::nullopt; }
  /// Does this payload begin another conversation than the peer's last (S11)?
  bool is_new_session(Octets vdpdu) const;

  Verdict verdict() const { return verdict_; }
  /// What may be used towards the peer: nothing before it has shown it (E7).
  Flags flags() const { return verdict_ == Verdict::kCapable ? peer_->flags : Flags(); }
  /// As last shown; stays readable while all is unknown again.
  const std::optional<Capabilities>& peer() const { return peer_; }
  const Capabilities& own() const { return own_; }
  /// `able`: what we would do with a peer that understands it.
  Standing standing(Flags able) const;

 private:
  Capabilities own_;
  Timing timing_;
  bool marked_legacy_;
  Verdict verdict_;
  std::optional<Capabilities> peer_;
  bool in_flight_ = false;
  bool shown_ = false;  ///< the peer has acknowledged ours
  Instant show_at_{};   ///< when ours is due again
  std::optional<Instant> verdict_at_;
};
const char* to_string(Exchange::Verdict verdict);

}  // namespace splitnve::vdp
