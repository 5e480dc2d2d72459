// SPDX-License-Identifier: Apache-2.0
#include "tnved/lifecycle.hpp"

#include <algorithm>

namespace splitnve::tnved {
namespace {

Outcome to(VmState next, Wait wait) { return {true, next, wait, ""}; }
Outcome refuse(const char* why) { return {false, VmState::kDefined, Wait::kNothing, why}; }

Outcome apply_unknown(Verb verb) {
  switch (verb) {
    case Verb::kCreate: return to(VmState::kDefined, Wait::kSettled);
    case Verb::kMigrateIn: return to(VmState::kArriving, Wait::kSettled);
    case Verb::kStart:
    case Verb::kPause:
    case Verb::kSuspend:
    case Verb::kResume:
    case Verb::kShutdown:
    case Verb::kMigrateOut:
    case Verb::kAbort: break;
  }
  return refuse("this VSI is not known here: create it or let it migrate in first");
}

Outcome apply_defined(Verb verb) {
  switch (verb) {
    case Verb::kCreate: return to(VmState::kDefined, Wait::kSettled);
    case Verb::kStart: return to(VmState::kRunning, Wait::kSettled);
    case Verb::kShutdown: return to(VmState::kLeaving, Wait::kGone);
    case Verb::kMigrateIn: return to(VmState::kArriving, Wait::kSettled);
    case Verb::kPause:
    case Verb::kSuspend:
    case Verb::kResume:
    case Verb::kMigrateOut: return refuse("the VM has not been started");
    case Verb::kAbort: break;
  }
  return refuse("no migration is under way");
}

Outcome apply_running(Verb verb) {
  switch (verb) {
    case Verb::kCreate:
    case Verb::kStart:
    case Verb::kResume: return to(VmState::kRunning, Wait::kSettled);
    case Verb::kPause: return to(VmState::kRunning, Wait::kNothing);
    case Verb::kSuspend: return to(VmState::kSuspended, Wait::kClosed);
    case Verb::kShutdown: return to(VmState::kLeaving, Wait::kGone);
    case Verb::kMigrateOut: return to(VmState::kDeparting, Wait::kStored);
    case Verb::kMigrateIn: return refuse("the VM runs here already");
    case Verb::kAbort: break;
  }
  return refuse("no migration is under way");
}

Outcome apply_suspended(Verb verb) {
  switch (verb) {
    case Verb::kCreate: return to(VmState::kSuspended, Wait::kSettled);
    case Verb::kStart:
    case Verb::kResume: return to(VmState::kRunning, Wait::kSettled);
    case Verb::kPause: return to(VmState::kSuspended, Wait::kNothing);
    case Verb::kSuspend: return to(VmState::kSuspended, Wait::kClosed);
    case Verb::kShutdown: return to(VmState::kLeaving, Wait::kGone);
    case Verb::kMigrateOut:
      return refuse("the VM is suspended and forwards nothing: shut it down when the destination has taken over");
    case Verb::kMigrateIn: return refuse("the VM is here already, suspended");
    case Verb::kAbort: break;
  }
  return refuse("no migration is under way");
}

Outcome apply_departing(Verb verb) {
  switch (verb) {
    case Verb::kCreate: return to(VmState::kDeparting, Wait::kSettled);
    case Verb::kPause: return to(VmState::kDeparting, Wait::kNothing);
    case Verb::kSuspend: return to(VmState::kSuspended, Wait::kClosed);
    case Verb::kResume:  // a hypervisor resumes the source when its migration has failed: an abort by another name
      return to(VmState::kRunning, Wait::kSettled);
    case Verb::kShutdown: return to(VmState::kLeaving, Wait::kGone);
    case Verb::kMigrateOut: return to(VmState::kDeparting, Wait::kStored);
    case Verb::kAbort: return to(VmState::kRunning, Wait::kStored);
    case Verb::kStart:
    case Verb::kMigrateIn: break;
  }
  return refuse("the VM is migrating away: abort that first");
}

Outcome apply_arriving(Verb verb) {
  switch (verb) {
    case Verb::kCreate:
    case Verb::kMigrateIn:
    case Verb::kStart:  // hypervisors report a start before memory is copied; the VM runs at resume (S36)
      return to(VmState::kArriving, Wait::kSettled);
    case Verb::kPause: return to(VmState::kArriving, Wait::kNothing);
    case Verb::kResume: return to(VmState::kRunning, Wait::kSettled);
    case Verb::kShutdown:
    case Verb::kAbort: return to(VmState::kLeaving, Wait::kGone);
    case Verb::kSuspend:
    case Verb::kMigrateOut: break;
  }
  return refuse("the VM is still arriving: resume or abort it first");
}

Outcome apply_leaving(Verb verb) {
  switch (verb) {
    case Verb::kCreate: return to(VmState::kDefined, Wait::kSettled);
    case Verb::kMigrateIn: return to(VmState::kArriving, Wait::kSettled);
    case Verb::kShutdown: return to(VmState::kLeaving, Wait::kGone);
    case Verb::kStart:
    case Verb::kPause:
    case Verb::kSuspend:
    case Verb::kResume:
    case Verb::kMigrateOut:
    case Verb::kAbort: break;
  }
  return refuse("the VM is being shut down: create it anew");
}

}  // namespace

const char* to_string(Verb verb) {
  switch (verb) {
    case Verb::kCreate: return "create";
    case Verb::kStart: return "start";
    case Verb::kPause: return "pause";
    case Verb::kSuspend: return "suspend";
    case Verb::kResume: return "resume";
    case Verb::kShutdown: return "shutdown";
    case Verb::kMigrateOut: return "migrate-out";
    case Verb::kMigrateIn: return "migrate-in";
    case Verb::kAbort: return "abort";
  }
  return "unknown";
}

const char* to_string(AddressVerb verb) {
  switch (verb) {
    case AddressVerb::kAdd: return "add-address";
    case AddressVerb::kRemove: return "remove-address";
    case AddressVerb::kDeactivate: return "deactivate-address";
    case AddressVerb::kActivate: return "activate-address";
    case AddressVerb::kChangeIp: return "change-ip";
  }
  return "unknown";
}

const char* to_string(VmState state) {
  switch (state) {
    case VmState::kDefined: return "defined";
    case VmState::kRunning: return "running";
    case VmState::kSuspended: return "suspended";
    case VmState::kDeparting: return "departing";
    case VmState::kArriving: return "arriving";
    case VmState::kLeaving: return "leaving";
  }
  return "unknown";
}

Outcome apply(std::optional<VmState> state, Verb verb) {
  if (!state) return apply_unknown(verb);
  switch (*state) {
    case VmState::kDefined: return apply_defined(verb);
    case VmState::kRunning: return apply_running(verb);
    case VmState::kSuspended: return apply_suspended(verb);
    case VmState::kDeparting: return apply_departing(verb);
    case VmState::kArriving: return apply_arriving(verb);
    case VmState::kLeaving: return apply_leaving(verb);
  }
  return refuse("unknown state");
}

Intent intent(VmState state) {
  using vdp::Level;
  using vdp::Migration;
  switch (state) {
    case VmState::kDefined: return {Level::kReserved, false, Migration::kNone, false};
    case VmState::kRunning: return {Level::kActive, false, Migration::kNone, true};
    case VmState::kSuspended: return {Level::kReserved, true, Migration::kNone, false};
    case VmState::kDeparting: return {Level::kActive, false, Migration::kDeparting, true};
    case VmState::kArriving: return {Level::kReserved, false, Migration::kArriving, false};
    case VmState::kLeaving: return {};
  }
  return {};
}

vdp::Level wanted_level(VmState state, vdp::Level address_max, Hold hold) {
  const vdp::Level level = std::min(intent(state).level, address_max);
  switch (hold) {
    case Hold::kFree: return level;
    case Hold::kReserved: return std::min(level, vdp::Level::kReserved);
    case Hold::kGone: break;
  }
  return vdp::Level::kNone;
}

Fate fate(VmState state, Phase phase, Word word) {
  if (state == VmState::kLeaving) return Fate::kStay;  // the station repeats the De-Associate until it is answered
  switch (phase) {
    case Phase::kEntering:
      return word == Word::kRefusedKeep || word == Word::kDeadline ? Fate::kDeassociate : Fate::kForget;
    case Phase::kResuming: return Fate::kFallBack;
    case Phase::kSteady: break;
  }
  switch (word) {
    case Word::kRefusedKeep:
    case Word::kDeadline: return Fate::kStay;
    case Word::kRefused: return Fate::kRetry;
    case Word::kRefusedHard:
    case Word::kRevoked: return Fate::kHold;
  }
  return Fate::kStay;
}

}  // namespace splitnve::tnved
