// SPDX-License-Identifier: Apache-2.0
// Every class of bad input at a hypervisor, from a stranger and in the nNVE's own name: a running VM notices nothing.
#include <gtest/gtest.h>

#include "bench.hpp"
#include "hostile/catalogue.hpp"

namespace splitnve::tnved::test {
namespace {

using hostile::Case;
using hostile::Depth;
using hostile::Scene;

/// A VM that runs, and all that tnved holds for it.
struct HostileBench : Bench {
  HostileBench() {
    ask(1, Verb::kCreate);
    ask(1, Verb::kStart);
    nnve_sends(TlvType::kAssociate, 0, requests.back());  // something it skips: the session has heard a request
    settle();
    before = store;
    rows = model.rows();
  }
  Scene scene(const MacAddress& from) const { return {from, config.uplinks[0].mac, 70001, vsi(77), mac(77)}; }
  std::uint64_t dropped(const std::string& drop) const {
    for (const auto& [name, count] : agent->frame_drops())
      if (name == drop) return count;
    return 0;
  }
  std::uint64_t all_dropped() const {
    std::uint64_t sum = 0;
    for (const auto& [name, count] : agent->frame_drops()) sum += count;
    return sum;
  }
  void expect_unharmed() const {
    ASSERT_TRUE(view(1));
    EXPECT_TRUE(view(1)->port_open);
    EXPECT_EQ(store, before);
    EXPECT_EQ(model.rows(), rows);
    EXPECT_EQ(tsis(), 1u);
  }
  std::map<std::uint64_t, OctetString> before;
  std::set<std::string> rows;
};

/// tnved's own words for what nnved calls otherwise.
std::string cause_at_station(const std::string& cause) {
  if (cause == "not for us") return "destination is not ours";
  if (cause == "our own frame") return "our own frame came back";
  return cause;
}
bool is_lldp(const Case& one) { return one.drop == "LLDP while EVB is off"; }

TEST(Hostile, AStrangersFramesAreDroppedByCauseAndHarmNobody) {
  HostileBench bench;
  for (const Case& one : hostile::catalogue(bench.scene(MacAddress(0x02BAD0000001u)))) {
    if (is_lldp(one)) continue;  // agent_evb_test.cpp
    SCOPED_TRACE(one.name);
    const std::string early = one.depth == Depth::kSession || one.drop.empty() ? "source is not the uplink's nNVE"
                                                                               : cause_at_station(one.drop);
    const auto all = bench.all_dropped(), of_cause = bench.dropped(early), taken = bench.agent->frames_taken();
    bench.inject(one.frame);
    EXPECT_EQ(bench.all_dropped() - all, 1u);
    EXPECT_EQ(bench.dropped(early) - of_cause, 1u) << early;
    EXPECT_EQ(bench.agent->frames_taken(), taken);
    bench.expect_unharmed();
  }
}

TEST(Hostile, ABrokenNnvesFramesAreCountedAndHarmNoRunningVm) {
  HostileBench bench;
  for (const Case& one : hostile::catalogue(bench.scene(bench.nnve_mac))) {
    if (is_lldp(one)) continue;
    SCOPED_TRACE(one.name);
    const auto all = bench.all_dropped(), taken = bench.agent->frames_taken();
    const auto of_cause = bench.dropped(cause_at_station(one.drop));
    bench.inject(one.frame);
    bench.run(milliseconds(1));
    EXPECT_GE(bench.all_dropped() - all + bench.agent->frames_taken() - taken, 1u) << "neither taken nor dropped";
    if (one.depth == Depth::kFrame || one.depth == Depth::kFilter) {
      EXPECT_EQ(bench.dropped(cause_at_station(one.drop)) - of_cause, 1u) << one.drop;
    }
    bench.expect_unharmed();
  }
  bench.run(seconds(60));
  bench.expect_unharmed();
}

}  // namespace
}  // namespace splitnve::tnved::test
