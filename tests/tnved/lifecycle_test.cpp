// SPDX-License-Identifier: Apache-2.0
#include "tnved/lifecycle.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <tuple>

namespace splitnve::tnved {
namespace {

constexpr auto kNone = std::optional<VmState>();

struct Cell {
  std::optional<VmState> from;
  Verb verb;
  std::optional<VmState> to;  ///< empty: refused
  Wait wait = Wait::kNothing;
};

const std::vector<Cell>& table() {
  using enum VmState;
  static const std::vector<Cell> cells = {
      {kNone, Verb::kCreate, kDefined, Wait::kSettled},
      {kNone, Verb::kStart, kNone},
      {kNone, Verb::kPause, kNone},
      {kNone, Verb::kSuspend, kNone},
      {kNone, Verb::kResume, kNone},
      {kNone, Verb::kShutdown, kNone},
      {kNone, Verb::kMigrateOut, kNone},
      {kNone, Verb::kMigrateIn, kArriving, Wait::kSettled},
      {kNone, Verb::kAbort, kNone},

      {kDefined, Verb::kCreate, kDefined, Wait::kSettled},
      {kDefined, Verb::kStart, kRunning, Wait::kSettled},
      {kDefined, Verb::kPause, kNone},
      {kDefined, Verb::kSuspend, kNone},
      {kDefined, Verb::kResume, kNone},
      {kDefined, Verb::kShutdown, kLeaving, Wait::kGone},
      {kDefined, Verb::kMigrateOut, kNone},
      {kDefined, Verb::kMigrateIn, kArriving, Wait::kSettled},
      {kDefined, Verb::kAbort, kNone},

      {kRunning, Verb::kCreate, kRunning, Wait::kSettled},
      {kRunning, Verb::kStart, kRunning, Wait::kSettled},
      {kRunning, Verb::kPause, kRunning, Wait::kNothing},
      {kRunning, Verb::kSuspend, kSuspended, Wait::kClosed},
      {kRunning, Verb::kResume, kRunning, Wait::kSettled},
      {kRunning, Verb::kShutdown, kLeaving, Wait::kGone},
      {kRunning, Verb::kMigrateOut, kDeparting, Wait::kStored},
      {kRunning, Verb::kMigrateIn, kNone},
      {kRunning, Verb::kAbort, kNone},

      {kSuspended, Verb::kCreate, kSuspended, Wait::kSettled},
      {kSuspended, Verb::kStart, kRunning, Wait::kSettled},
      {kSuspended, Verb::kPause, kSuspended, Wait::kNothing},
      {kSuspended, Verb::kSuspend, kSuspended, Wait::kClosed},
      {kSuspended, Verb::kResume, kRunning, Wait::kSettled},
      {kSuspended, Verb::kShutdown, kLeaving, Wait::kGone},
      {kSuspended, Verb::kMigrateOut, kNone},
      {kSuspended, Verb::kMigrateIn, kNone},
      {kSuspended, Verb::kAbort, kNone},

      {kDeparting, Verb::kCreate, kDeparting, Wait::kSettled},
      {kDeparting, Verb::kStart, kNone},
      {kDeparting, Verb::kPause, kDeparting, Wait::kNothing},
      {kDeparting, Verb::kSuspend, kSuspended, Wait::kClosed},
      {kDeparting, Verb::kResume, kRunning, Wait::kSettled},
      {kDeparting, Verb::kShutdown, kLeaving, Wait::kGone},
      {kDeparting, Verb::kMigrateOut, kDeparting, Wait::kStored},
      {kDeparting, Verb::kMigrateIn, kNone},
      {kDeparting, Verb::kAbort, kRunning, Wait::kStored},

      {kArriving, Verb::kCreate, kArriving, Wait::kSettled},
      {kArriving, Verb::kStart, kArriving, Wait::kSettled},
      {kArriving, Verb::kPause, kArriving, Wait::kNothing},
      {kArriving, Verb::kSuspend, kNone},
      {kArriving, Verb::kResume, kRunning, Wait::kSettled},
      {kArriving, Verb::kShutdown, kLeaving, Wait::kGone},
      {kArriving, Verb::kMigrateOut, kNone},
      {kArriving, Verb::kMigrateIn, kArriving, Wait::kSettled},
      {kArriving, Verb::kAbort, kLeaving, Wait::kGone},

      {kLeaving, Verb::kCreate, kDefined, Wait::kSettled},
      {kLeaving, Verb::kStart, kNone},
      {kLeaving, Verb::kPause, kNone},
      {kLeaving, Verb::kSuspend, kNone},
      {kLeaving, Verb::kResume, kNone},
      {kLeaving, Verb::kShutdown, kLeaving, Wait::kGone},
      {kLeaving, Verb::kMigrateOut, kNone},
      {kLeaving, Verb::kMigrateIn, kArriving, Wait::kSettled},
      {kLeaving, Verb::kAbort, kNone},
  };
  return cells;
}

TEST(VmMachine, EveryStateAnswersEveryVerbAsTheTableSays) {
  std::set<std::pair<int, Verb>> covered;
  for (const Cell& cell : table()) {
    const std::string where = std::string(cell.from ? to_string(*cell.from) : "unknown") + " x " + to_string(cell.verb);
    const Outcome outcome = apply(cell.from, cell.verb);
    EXPECT_EQ(outcome.legal, cell.to.has_value()) << where;
    if (cell.to) {
      EXPECT_EQ(outcome.next, *cell.to) << where;
      EXPECT_EQ(outcome.wait, cell.wait) << where;
      EXPECT_STREQ(outcome.refusal, "") << where;
    } else {
      EXPECT_STRNE(outcome.refusal, "") << where << ": a refusal says why";
    }
    covered.emplace(cell.from ? static_cast<int>(*cell.from) : -1, cell.verb);
  }
  const std::size_t states = kVmStates.size() + 1, events = kVerbs.size();
  std::printf("vm cells=%zu*%zu covered=%zu\n", states, events, covered.size());
  EXPECT_EQ(covered.size(), states * events);
}

TEST(VmMachine, EveryStateHasOneIntent) {
  using vdp::Level;
  using vdp::Migration;
  const std::map<VmState, Intent> wanted = {
      {VmState::kDefined, {Level::kReserved, false, Migration::kNone, false}},
      {VmState::kRunning, {Level::kActive, false, Migration::kNone, true}},
      {VmState::kSuspended, {Level::kReserved, true, Migration::kNone, false}},
      {VmState::kDeparting, {Level::kActive, false, Migration::kDeparting, true}},
      {VmState::kArriving, {Level::kReserved, false, Migration::kArriving, false}},
      {VmState::kLeaving, {Level::kNone, false, Migration::kNone, false}},
  };
  for (VmState state : kVmStates) {
    EXPECT_EQ(intent(state), wanted.at(state)) << to_string(state);
    EXPECT_FALSE(intent(state).suspended && intent(state).migration == Migration::kArriving)
        << "S and M together are malformed";
    if (intent(state).forwards) {
      EXPECT_EQ(intent(state).level, Level::kActive) << "what forwards is Activated";
    }
  }
}

TEST(VmMachine, EveryWordOfTheNnveMeetsItsFateInEveryStateAndPhase) {
  const std::map<std::pair<Phase, Word>, Fate> wanted = {
      {{Phase::kSteady, Word::kRefusedKeep}, Fate::kStay},
      {{Phase::kSteady, Word::kRefused}, Fate::kRetry},
      {{Phase::kSteady, Word::kRefusedHard}, Fate::kHold},
      {{Phase::kSteady, Word::kRevoked}, Fate::kHold},
      {{Phase::kSteady, Word::kDeadline}, Fate::kStay},
      {{Phase::kEntering, Word::kRefusedKeep}, Fate::kDeassociate},
      {{Phase::kEntering, Word::kRefused}, Fate::kForget},
      {{Phase::kEntering, Word::kRefusedHard}, Fate::kForget},
      {{Phase::kEntering, Word::kRevoked}, Fate::kForget},
      {{Phase::kEntering, Word::kDeadline}, Fate::kDeassociate},
      {{Phase::kResuming, Word::kRefusedKeep}, Fate::kFallBack},
      {{Phase::kResuming, Word::kRefused}, Fate::kFallBack},
      {{Phase::kResuming, Word::kRefusedHard}, Fate::kFallBack},
      {{Phase::kResuming, Word::kRevoked}, Fate::kFallBack},
      {{Phase::kResuming, Word::kDeadline}, Fate::kFallBack},
  };
  std::size_t covered = 0;
  for (VmState state : kVmStates)
    for (Phase phase : kPhases)
      for (Word word : kWords) {
        const Fate expected = state == VmState::kLeaving ? Fate::kStay : wanted.at({phase, word});
        EXPECT_EQ(fate(state, phase, word), expected)
            << to_string(state) << " phase " << static_cast<int>(phase) << " word " << static_cast<int>(word);
        ++covered;
      }
  std::printf("vm fates cells=%zu*%zu*%zu covered=%zu\n", kVmStates.size(), kPhases.size(), kWords.size(), covered);
  EXPECT_EQ(covered, kVmStates.size() * kPhases.size() * kWords.size());
}

}  // namespace
}  // namespace splitnve::tnved
