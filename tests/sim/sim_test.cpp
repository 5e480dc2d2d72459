// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "world.hpp"

namespace splitnve::sim {
namespace {

class Simulation : public testing::TestWithParam<std::uint64_t> {};

TEST_P(Simulation, TenHostsOnTwoSwitchesAgreeDespiteTwentyPercentLoss) {
  Parameters parameters;
  parameters.hosts = 10;
  parameters.ports_per_switch = 5;
  parameters.tsis_per_host = 4;
  parameters.loss = 0.2;
  parameters.steps = 20000;
  parameters.seed = GetParam();
  const Report report = World(parameters).run();
  EXPECT_TRUE(report.pass) << report.failure << "\nreplay with seed " << parameters.seed;
  EXPECT_GT(report.lifecycle_operations, 100u);
  EXPECT_GT(report.migrations, 5u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Simulation, testing::Range<std::uint64_t>(1, 21));

}  // namespace
}  // namespace splitnve::sim
