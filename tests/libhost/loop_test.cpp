// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/loop.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

namespace splitnve::host {
namespace {

using std::chrono::milliseconds;

TEST(Loop, ATimerExpiresNotBeforeItsInstantAndOnlyForItsLastArming) {
  Loop loop;
  int expired = 0;
  Instant at;
  Timer timer(loop, [&] {
    ++expired;
    at = Loop::now();
    loop.stop();
  });
  timer.arm(Loop::now() + milliseconds(1));
  const Instant due = Loop::now() + milliseconds(30);
  timer.arm(due);
  loop.run();
  EXPECT_EQ(expired, 1);
  EXPECT_GE(at, due);
}

TEST(Loop, ATimerThatIsSetCloserDoesNotWaitForItsFormerInstant) {
  Loop loop;
  Timer timer(loop, [&] { loop.stop(); });
  const Instant begun = Loop::now();
  timer.arm(begun + std::chrono::hours(1));
  timer.disarm();
  timer.arm(begun + std::chrono::hours(2));
  timer.arm(begun + milliseconds(1));
  loop.run();
  EXPECT_GE(Loop::now(), begun + milliseconds(1));
  EXPECT_LT(Loop::now(), begun + std::chrono::minutes(30));
}

TEST(Loop, ATimerInThePastExpiresAtOnceAndADisarmedOneNever) {
  Loop loop;
  bool never = true;
  Timer disarmed(loop, [&] { never = false; });
  disarmed.arm(Loop::now() - milliseconds(1));
  disarmed.disarm();
  Timer timer(loop, [&] { loop.stop(); });
  timer.arm(Loop::now() - milliseconds(1));
  loop.run();
  EXPECT_TRUE(never);
}

TEST(Loop, AWatchIsLevelTriggeredAndMayEndItselfInItsCallback) {
  Loop loop;
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_EQ(write(ends[1], "abc", 3), 3);
  int calls = 0;
  std::unique_ptr<FdWatch> watch;
  watch = std::make_unique<FdWatch>(loop, ends[0], [&] {
    char octet = 0;
    ASSERT_EQ(read(ends[0], &octet, 1), 1);
    if (++calls < 3) return;
    watch.reset();
    loop.stop();
  });
  watch->want_read(true);
  loop.run();
  EXPECT_EQ(calls, 3) << "what is left unread is told again";
  close(ends[0]);
  close(ends[1]);
}

TEST(Loop, TimeInWhichItDidNotRunIsNobodys) {
  Loop loop;
  Duration told{};
  loop.on_stall([&](Duration gap) { told = gap; });
  int early = 0;
  Timer soon(loop, [&] { ++early; });
  Timer look(loop, [&] { loop.stop(); });
  const auto began = std::chrono::steady_clock::now();
  const Instant before = Loop::now();
  soon.arm(before + std::chrono::seconds(2));
  loop.post([&] {
    std::this_thread::sleep_for(milliseconds(2600));  // as if it were stopped: longer than any deadline here
    look.arm(Loop::now() + milliseconds(300));
  });
  loop.run();
  EXPECT_EQ(early, 0) << "no deadline passes in it";
  EXPECT_GE(told, milliseconds(2500));
  EXPECT_GE(std::chrono::steady_clock::now() - began, milliseconds(2900));
  EXPECT_LT(Loop::now() - before, milliseconds(1500));
}

TEST(Loop, WhoeverSleepsUntilADeadlineIsNotStalled) {
  Loop loop;
  Duration told{};
  loop.on_stall([&](Duration gap) { told = gap; });
  Timer look(loop, [&] { loop.stop(); });
  const Instant before = Loop::now();
  look.arm(before + milliseconds(2500));
  loop.run();
  EXPECT_EQ(told, Duration{});
  EXPECT_GE(Loop::now() - before, milliseconds(2500));
}

TEST(Loop, SignalsArriveOnTheLoop) {
  Loop loop;
  std::vector<int> seen;
  loop.on_signals({SIGHUP, SIGTERM}, [&](int number) {
    seen.push_back(number);
    if (number == SIGTERM) loop.stop();
  });
  loop.post([] { raise(SIGHUP); });
  loop.post([] { raise(SIGTERM); });
  loop.run();
  EXPECT_EQ(seen.size(), 2u);
}

}  // namespace
}  // namespace splitnve::host
