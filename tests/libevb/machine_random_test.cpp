// SPDX-License-Identifier: Apache-2.0
// Two machines over a link that loses, delays, repeats and reorders, while their values change and links flap.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "machine_support.hpp"

namespace splitnve::evb {
namespace {

using std::chrono::milliseconds;

struct Flight {
  Instant arrives;
  bool to_bridge;
  OctetString frame;
};

class World {
 public:
  explicit World(unsigned seed)
      : random_(seed), ends_{End(config(Role::kBridge, values())), End(config(Role::kStation, values()))} {
    for (End& end : ends_) end.machine.handle_link(true, now_);
  }
  /// Runs on; `lossy` frames are lost with 30 %, delayed by up to 3 s and delivered twice with 10 %.
  void run(Duration time, bool lossy) {
    for (const Instant end = now_ + time; now_ < end; now_ += milliseconds(250)) {
      for (std::size_t i = 0; i < 2; ++i)
        for (auto& frame : ends_[i].run(now_)) send(i, frame, lossy);
      for (std::size_t i = 0; i < flights_.size();) {
        if (flights_[i].arrives > now_) {
          ++i;
          continue;
        }
        const Flight flight = flights_[i];
        flights_.erase(flights_.begin() + static_cast<std::ptrdiff_t>(i));
        static_cast<void>(ends_[flight.to_bridge ? 0 : 1].machine.handle_frame(flight.frame, now_));
      }
      check();
    }
  }
  /// Something happens to one end.
  void meddle() {
    End& end = ends_[pick(2)];
    switch (pick(5)) {
      case 0: end.machine.shut_down(now_); break;
      case 1: end.machine.handle_link(false, now_); break;
      case 2: end = End(config(end.machine.config().role, values())); break;  // restarted
      default: end.machine.set_values(values(), now_); break;
    }
    run(milliseconds(250), true);
    for (End& one : ends_) one.machine.handle_link(true, now_);
  }
  const Machine& bridge() const { return ends_[0].machine; }
  const Machine& station() const { return ends_[1].machine; }
  void set(std::size_t end, const Parameters& to) { ends_[end].machine.set_values(to, now_); }
  Parameters values() { return {pick(8), 4 + pick(17), 10 + pick(15), 15 + pick(10)}; }
  unsigned pick(unsigned n) { return std::uniform_int_distribution<unsigned>(0, n - 1)(random_); }

 private:
  void send(std::size_t from, const OctetString& frame, bool lossy) {
    for (unsigned copies = lossy && pick(10) == 0 ? 2 : 1; copies > 0; --copies)
      if (!lossy || pick(10) >= 3) flights_.push_back({now_ + milliseconds(lossy ? pick(3000) : 0), from == 1, frame});
  }
  /// Neither end ever runs with less than its own values, nor with more than anybody can have said.
  void check() const {
    for (const End& end : ends_) {
      const Parameters& own = end.machine.config().values;
      const Parameters& runs = end.machine.operational().values;
      ASSERT_TRUE(runs.retries >= own.retries && runs.rte >= own.rte && runs.rwd >= own.rwd && runs.rka >= own.rka);
      ASSERT_TRUE(end.machine.operational().acceptable);
      ASSERT_TRUE(end.machine.operational().negotiated || runs == own);
    }
  }

  std::mt19937 random_;
  Instant now_{};
  std::array<End, 2> ends_;
  std::vector<Flight> flights_;
};

Parameters greater(const Parameters& a, const Parameters& b) {
  return {std::max(a.retries, b.retries), std::max(a.rte, b.rte), std::max(a.rwd, b.rwd), std::max(a.rka, b.rka)};
}

TEST(EvbMachineRandom, BothEndsConvergeToTheSameValuesWhateverHappened) {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world(seed);
    for (int i = 0; i < 20; ++i) {
      world.meddle();
      world.run(seconds(world.pick(90)), true);
    }
    world.run(seconds(200), false);
    ASSERT_TRUE(world.bridge().operational().negotiated && world.station().operational().negotiated);
    ASSERT_EQ(world.bridge().operational().values, world.station().operational().values);
  }
}

TEST(EvbMachineRandom, WithoutLossTheyConvergeToTheGreaterOfTheOwnValues) {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world(seed);
    for (int i = 0; i < 10; ++i) {
      world.set(world.pick(2), world.values());
      world.run(seconds(world.pick(40)), false);
    }
    world.run(seconds(200), false);
    ASSERT_EQ(world.bridge().operational().values,
              greater(world.bridge().config().values, world.station().config().values));
    ASSERT_EQ(world.bridge().operational().values, world.station().operational().values);
  }
}

}  // namespace
}  // namespace splitnve::evb
