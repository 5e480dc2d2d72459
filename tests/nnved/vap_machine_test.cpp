// SPDX-License-Identifier: Apache-2.0
// The VAP machine's full state x event table (B1..B6), on the table itself.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>

#include "nnved/vap.hpp"

namespace splitnve::nnved {
namespace {

using namespace std::chrono_literals;
constexpr Instant kStart{1h};
constexpr GroupId kVn{70001};

enum class State { kNone, kFailed, kConnecting, kConnected, kCount };
enum class Event {
  kAcquire,
  kAcquireOtherVid,
  kPoolEmpty,
  kConnectRefused,
  kFirstAssociated,
  kLastLeaves,
  kOneOfTwoLeaves,
  kOpens,
  kCloses,
  kTime,
  kCount
};
constexpr std::size_t kStates = static_cast<std::size_t>(State::kCount);
constexpr std::size_t kEvents = static_cast<std::size_t>(Event::kCount);
// N none, F Disconnected and shown with a reason, c Disconnected with a VID and a TSI on its way, C Connected.
// An event that the TSI machine cannot bring about in a state leaves it, and is checked to be so.
constexpr std::array<const char*, kEvents> kTable{
    "cccC",  // kAcquire, a TSI is added
    "ccfC",  // kAcquireOtherVid: refused where there is a VID (f: checked below)
    "FFcC",  // kPoolEmpty, for another port's VN only where there is none
    "NFFC",  // kConnectRefused: the TSI on its way is withdrawn with a reason
    "NFCC",  // kFirstAssociated
    "NFNN",  // kLastLeaves
    "NFcC",  // kOneOfTwoLeaves
    "NFcC",  // kOpens
    "NFcC",  // kCloses
    "NNcC",  // kTime: a failure is shown for a while
};

struct Cell {
  Cell() {
    config.ports.push_back({});
    config.ports[0].id = PortId(1);
    config.ports[0].interface_name = "p1";
    config.ports[0].vids = {Vid(100), Vid(101)};
    config.vns.push_back({kVn, "blue", "", 1001, {}});
    policy.emplace(config);
    vaps.emplace(config, *policy, changes, journal);
  }
  /// Takes what was recorded; how many there were.
  std::size_t records() {
    std::size_t count = 0;
    while (journal.effects.poll()) ++count;
    return count;
  }
  Index add_tsi() {
    const auto vap = vaps->acquire(0, kVn, Vid(), kStart);
    EXPECT_TRUE(vap);
    vaps->instance_added(*vap);
    return *vap;
  }
  void bring_to(State state) {
    if (state == State::kFailed) vaps->note_failure(0, kVn, Reason::kVidPoolEmpty, kStart);
    if (state == State::kConnecting || state == State::kConnected) add_tsi();
    if (state == State::kConnected) vaps->instance_associated(find(), "test");
  }
  Index find() const { return vaps->find(PortId(1), kVn); }
  bool has_tsi() const { return find() != kNoIndex && (*vaps)[find()].instances > 0; }
  void last_leaves(Reason reason) {
    if (!has_tsi()) return;
    if ((*vaps)[find()].associated > 0) vaps->instance_dissociated(find());
    vaps->instance_removed(find(), reason, kStart);
  }
  void fire(Event event) {
    switch (event) {
      case Event::kAcquire: add_tsi(); break;
      case Event::kAcquireOtherVid:
        if (has_tsi()) {
          EXPECT_EQ(vaps->acquire(0, kVn, Vid(101), kStart).error(), Reason::kOtherVid);
        } else {
          vaps->instance_added(*vaps->acquire(0, kVn, Vid(101), kStart));
        }
        break;
      case Event::kPoolEmpty: vaps->note_failure(0, kVn, Reason::kVidPoolEmpty, kStart); break;
      case Event::kConnectRefused:
        if (has_tsi() && (*vaps)[find()].state == VapState::kDisconnected) last_leaves(Reason::kAuthorityUnreachable);
        break;
      case Event::kFirstAssociated:
        if (has_tsi() && (*vaps)[find()].associated == 0) vaps->instance_associated(find(), "test");
        break;
      case Event::kLastLeaves: last_leaves(Reason::kNone); break;
      case Event::kOneOfTwoLeaves:
        if (!has_tsi()) break;
        add_tsi();
        vaps->instance_removed(find(), Reason::kNone, kStart);
        break;
      case Event::kOpens:
      case Event::kCloses:
        if (!has_tsi() || (*vaps)[find()].associated == 0) break;
        vaps->address_opening(find(), true);
        vaps->address_active(find(), true, true);
        EXPECT_EQ(vaps->domain(kVn)->opening, 1u);
        if (event == Event::kOpens) break;
        vaps->address_active(find(), true, false);
        vaps->address_opening(find(), false);
        EXPECT_EQ(vaps->domain(kVn)->opening, 0u);
        break;
      case Event::kTime: vaps->handle_time(kStart + kFailedVapShown); break;
      case Event::kCount: break;
    }
  }
  char seen() const {
    if (find() == kNoIndex) return 'N';
    const VapRow& row = (*vaps)[find()];
    if (row.state == VapState::kConnected) return 'C';
    EXPECT_EQ(row.vid.is_null(), row.reason != Reason::kNone) << "Disconnected has a VID or a reason";
    return row.vid.is_null() ? 'F' : 'c';
  }
  AgentConfig config;
  std::optional<Policy> policy;
  Changes changes;
  Journal journal;
  std::optional<VapTable> vaps;
};

TEST(VapMachine, EveryEventInEveryStateDoesWhatTheTableSays) {
  std::size_t covered = 0;
  for (std::size_t event = 0; event < kEvents; ++event) {
    for (std::size_t state = 0; state < kStates; ++state) {
      SCOPED_TRACE("event " + std::to_string(event) + " in state " + "NFcC"[state]);
      Cell cell;
      cell.bring_to(static_cast<State>(state));
      ASSERT_EQ(cell.seen(), "NFcC"[state]);
      cell.records();
      cell.fire(static_cast<Event>(event));
      const char to = kTable[event][state] == 'f' ? 'c' : kTable[event][state];
      EXPECT_EQ(cell.seen(), to);
      const bool connected_before = state == 3, connected_after = to == 'C';
      EXPECT_EQ(cell.records(), connected_before == connected_after ? 0u : 1u) << "one record per transition (F5)";
      EXPECT_EQ(cell.vaps->vids_free(0), to == 'c' || to == 'C' || connected_before ? 1u : 2u)
          << "held, or resting after use";
      ++covered;
    }
  }
  std::printf("vap cells=%zu*%zu covered=%zu\n", kStates, kEvents, covered);
  EXPECT_EQ(covered, kStates * kEvents);
}

}  // namespace
}  // namespace splitnve::nnved
