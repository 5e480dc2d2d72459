// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include "splitnve/base/bytes.hpp"
#include "splitnve/base/ids.hpp"
#include "splitnve/host/link_monitor.hpp"
#include "splitnve/host/loop.hpp"

namespace splitnve::host::testing {

/// Puts this process into a network namespace of its own, once; it vanishes with the process, whatever happens.
class OwnNetwork : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    static const bool entered = unshare(CLONE_NEWNET) == 0;
    ASSERT_TRUE(entered) << "these tests need root";
  }
  void SetUp() override {
    run("ip link add east type veth peer name west");
    run("ip link set east up");
    run("ip link set west up");
    // The kernel brings a carrier up in its own time; a frame sent before that is lost.
    wait_up("east");
    wait_up("west");
  }
  void TearDown() override { static_cast<void>(std::system("ip link del east 2>/dev/null")); }
  static void wait_up(const std::string& name) {
    const Instant end = Loop::now() + std::chrono::seconds(10);
    while (!link_of(name).value_or(LinkInfo{}).up) ASSERT_LT(Loop::now(), end) << name << " does not come up";
    run("ip link set " + name + " up");  // returns when the kernel's own bringing-up, under the same lock, is done
  }
  static void run(const std::string& command) { ASSERT_EQ(std::system(command.c_str()), 0) << command; }
};

inline bool wait_readable(int fd, int timeout_ms = 5000) {
  pollfd waiting{fd, POLLIN, 0};
  return poll(&waiting, 1, timeout_ms) == 1;
}

/// An Ethernet frame with the given header after the addresses (EtherType, perhaps tags) and a payload of `size`
/// octets.
inline OctetString frame_of(MacAddress to, std::vector<std::uint8_t> types, std::size_t size, std::uint8_t fill) {
  constexpr std::array<std::uint8_t, 6> kFrom{0x02, 0, 0, 0, 0, 0x99};
  const auto to_octets = to.octets();
  OctetString frame(12 + types.size() + size, fill);
  std::ranges::copy(to_octets, frame.begin());
  std::ranges::copy(kFrom, frame.begin() + 6);
  std::ranges::copy(types, frame.begin() + 12);
  return frame;
}

}  // namespace splitnve::host::testing
