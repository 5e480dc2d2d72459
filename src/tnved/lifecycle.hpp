// SPDX-License-Identifier: Apache-2.0
// What a VM's life means for its TSI: three pure tables, no row, no wire.
//
//   (no row) --create--> Defined --start--> Running <--resume-- Suspended     Running --migrate-out--> Departing
//       |                                      |                    ^         Departing --abort--> Running
//       +--migrate-in--> Arriving --resume-----^      --suspend-----+         any --shutdown--> Leaving --(answered)-->
//       gone
//                           +--abort--> Leaving                               Leaving --create | migrate-in--> anew
#pragma once
#include <array>
#include <cstdint>
#include <optional>

#include "splitnve/vdp/extensions.hpp"
#include "splitnve/vdp/station.hpp"
#include "tnved/agent.hpp"

namespace splitnve::tnved {

inline constexpr std::array kVerbs = {Verb::kCreate,     Verb::kStart,     Verb::kPause,
                                      Verb::kSuspend,    Verb::kResume,    Verb::kShutdown,
                                      Verb::kMigrateOut, Verb::kMigrateIn, Verb::kAbort};
inline constexpr std::array kVmStates = {VmState::kDefined,   VmState::kRunning,  VmState::kSuspended,
                                         VmState::kDeparting, VmState::kArriving, VmState::kLeaving};

/// What must hold before the one who asked is told "ok".
enum class Wait : std::uint8_t {
  kNothing,  ///< answered at once
  kStored,   ///< the new state is in the store
  kSettled,  ///< the nNVE confirmed the wanted levels, the datapath and the store have them
  kPlaced,   ///< the same, of addresses that were added, activated or changed
  kClosed,   ///< the port is closed here; the nNVE's answer is waited for, but not for ever
  kTrimmed,  ///< the named addresses are closed here; the nNVE's answer is waited for, but not for ever
  kGone,     ///< as kClosed, and the nNVE has let go
};

/// The outcome of a verb: the VM's next state, or why it makes no sense now.
struct Outcome {
  bool legal = false;
  VmState next = VmState::kDefined;
  Wait wait = Wait::kNothing;
  const char* refusal = "";  ///< legal == false: for the operator
};
/// `state` is empty when the VSI is not known here.
Outcome apply(std::optional<VmState> state, Verb verb);

/// What a VM state asks of the nNVE and of the VM's port.
struct Intent {
  vdp::Level level = vdp::Level::kNone;
  bool suspended = false;                            ///< S bit by itself; who departs says S too
  vdp::Migration migration = vdp::Migration::kNone;  ///< arriving: M bit
  bool forwards = false;                             ///< the port is open for addresses that the nNVE has Activated
  friend bool operator==(const Intent&, const Intent&) = default;
};
/// What the nNVE's operator has taken from an address until someone asks for it again (S7).
enum class Hold : std::uint8_t { kFree, kReserved, kGone };
/// What is wanted of one address: what the VM's state asks for, at most what the address may have.
vdp::Level wanted_level(VmState state, vdp::Level address_max, Hold hold);
/// Towards an nNVE that does not understand Associate -> Pre-Associate the station keeps a suspended VM's VSI
/// Associated with S=1; the port is closed here all the same (S20).
Intent intent(VmState state);

/// What a TSI's nNVE may say or fail to say; kDeadline: the one who asked waits no longer.
enum class Word : std::uint8_t { kRefusedKeep, kRefused, kRefusedHard, kRevoked, kDeadline };
inline constexpr std::array kWords = {Word::kRefusedKeep, Word::kRefused, Word::kRefusedHard, Word::kRevoked,
                                      Word::kDeadline};
/// What the VM does until its port has opened for the first time, as far as someone waits for it.
enum class Phase : std::uint8_t {
  kSteady,    ///< nobody waits for a first confirmation
  kEntering,  ///< created or arriving, not yet reserved; or started, not yet activated: the VM does not run
  kResuming,  ///< was suspended or arriving, and someone waits for it to be Activated
};
inline constexpr std::array kPhases = {Phase::kSteady, Phase::kEntering, Phase::kResuming};

enum class Fate : std::uint8_t {
  kStay,         ///< nothing changes but what is shown (S8)
  kRetry,        ///< the intent stands: ask again with back-off
  kHold,         ///< held by the peer: ask again only when an operator or the VM does (S7)
  kFallBack,     ///< the VM stays what it was before resume
  kDeassociate,  ///< De-Associate at the nNVE and forget (A2)
  kForget,       ///< the nNVE has nothing of it: forget
};
/// The third table. A VM that waits to run is refused; a running one keeps its association (S8).
Fate fate(VmState state, Phase phase, Word word);

}  // namespace splitnve::tnved
