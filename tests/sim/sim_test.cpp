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

class SharedPorts : public testing::TestWithParam<std::uint64_t> {};

TEST_P(SharedPorts, StationsBehindLearningSwitchesAgreeDespiteCrashes) {
  Parameters parameters;
  parameters.hosts = 12;
  parameters.ports_per_switch = 2;
  parameters.hosts_per_port = 3;
  parameters.duplicate = parameters.reorder = 0.1;
  parameters.crash_per_1000_events = 1;
  parameters.seed = GetParam();
  const Report report = World(parameters).run();
  EXPECT_TRUE(report.pass) << report.failure << "\nreplay with seed " << parameters.seed;
  EXPECT_GT(report.migrations, 5u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, SharedPorts, testing::Range<std::uint64_t>(1, 6));

TEST(Simulation, EveryExtensionIsInPlay) {
  Parameters parameters;
  parameters.hosts = 24;
  parameters.ports_per_switch = 8;
  parameters.tsis_per_host = 8;
  parameters.duplicate = parameters.reorder = 0.1;
  parameters.crash_per_1000_events = parameters.operator_per_1000_events = 1;
  parameters.steps = 200000;
  const Report report = World(parameters).run();
  EXPECT_TRUE(report.pass) << report.failure;
  for (const char* action : {"create",
                             "start",
                             "pause",
                             "suspend",
                             "resume",
                             "shutdown",
                             "migrate-out",
                             "migrate-in",
                             "abort",
                             "add-address",
                             "add-address-ip",
                             "remove-address",
                             "remove-address-ip",
                             "deactivate-address",
                             "activate-address",
                             "bridge-deactivate-some",
                             "bridge-deactivate-all",
                             "release",
                             "remove",
                             "refused",
                             "tlv-reason",
                             "tlv-migration",
                             "format-04",
                             "format-07",
                             "format-08",
                             "format-87",
                             "format-88",
                             "set-change",
                             "several-vids",
                             "vid-limit",
                             "ip-without-mac",
                             "deactivate-address-ip",
                             "activate-address-ip",
                             "change-ip",
                             "signed",
                             "session",
                             "replay",
                             "path-switch",
                             "use-uplink",
                             "flap",
                             "host-crash",
                             "switch-crash"})
    EXPECT_GT(report.actions.contains(action) ? report.actions.at(action) : 0, 0u) << action;
}

class NoLegacy : public testing::TestWithParam<std::uint64_t> {};

TEST_P(NoLegacy, StationsThatAllKnowExtensionsAgreeToo) {
  Parameters parameters;
  parameters.legacy_share = 0;
  parameters.duplicate = parameters.reorder = 0.1;
  parameters.crash_per_1000_events = 1;
  parameters.seed = GetParam();
  const Report report = World(parameters).run();
  EXPECT_TRUE(report.pass) << report.failure << "\nreplay with seed " << parameters.seed;
}

INSTANTIATE_TEST_SUITE_P(Seeds, NoLegacy, testing::Range<std::uint64_t>(1, 4));

// `tools/dev accept protocol` does it with 2,000 TSIs.
TEST(Hold, FourHundredTsisStayActivatedForFiveMinutesAtThirtyPercentLoss) {
  Parameters parameters;
  parameters.hosts = 10;
  parameters.tsis_per_host = 40;
  parameters.loss = 0.3;
  parameters.flap_per_1000_events = parameters.operator_per_1000_events = 0;
  parameters.hold = std::chrono::minutes(5);
  const Report report = World(parameters).run();
  EXPECT_TRUE(report.pass) << report.failure;
  EXPECT_GE(report.virtual_time, parameters.hold);
}

/// Histories that once broke an invariant; each says what the fault was.
struct Kept {
  const char* fault;
  Parameters parameters;
};

Parameters crashing(double loss, std::uint64_t seed) {
  Parameters parameters;
  parameters.hosts = 3;
  parameters.tsis_per_host = 40;
  parameters.loss = loss;
  parameters.crash_per_1000_events = 1;
  parameters.keepalive_exponent = 17;
  parameters.steps = 300000;
  parameters.seed = seed;
  if (loss == 0) parameters.flap_per_1000_events = parameters.operator_per_1000_events = 0;
  return parameters;
}

Parameters large(std::uint64_t seed) {
  Parameters parameters;
  parameters.hosts = 100;
  parameters.tsis_per_host = 50;
  parameters.duplicate = parameters.reorder = 0.1;
  parameters.crash_per_1000_events = 1;
  parameters.steps = 200000;
  parameters.seed = seed;
  return parameters;
}

class KeptSeed : public testing::TestWithParam<Kept> {};

TEST_P(KeptSeed, HoldsNow) {
  const Report report = World(GetParam().parameters).run();
  EXPECT_TRUE(report.pass) << report.failure << "\nonce: " << GetParam().fault;
  EXPECT_GT(report.crashes, 50u);
}

INSTANTIATE_TEST_SUITE_P(
    Seeds, KeptSeed,
    testing::Values(
        Kept{"a keep-alive's answer that was lost with the switch's process cost the lease", crashing(0, 32)},
        Kept{"the same while the host was starting again", crashing(0, 8)},
        Kept{"a crash between claim and commit made the authority refuse the switch's own claims", crashing(0, 3)},
        Kept{"a duplicate refusal of a remembered VID was taken for the answer to the repeat with VID 0", large(5)}));

}  // namespace
}  // namespace splitnve::sim
