// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/systemd.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>

#include "splitnve/host/loop.hpp"
#include "temporary_folder.hpp"

namespace splitnve::host {
namespace {

/// Stands in for systemd: the datagrams of sd_notify.
class SystemdTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string path = folder_.file("notify");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(path.begin(), path.end(), address.sun_path);
    ASSERT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  void TearDown() override {
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    close(fd_);
  }
  /// The next datagram; empty when there is none.
  std::string heard() const {
    char text[256];
    const ssize_t count = recv(fd_, text, sizeof(text), MSG_DONTWAIT);
    return count > 0 ? std::string(text, static_cast<std::size_t>(count)) : "";
  }
  testing::TemporaryFolder folder_;
  int fd_ = socket(AF_UNIX, SOCK_DGRAM, 0);
};

TEST_F(SystemdTest, ReadinessAndStoppingAreTold) {
  notify_ready("3 ports");
  EXPECT_EQ(heard(), "READY=1\nSTATUS=3 ports");
  notify_stopping();
  EXPECT_EQ(heard(), "STOPPING=1");
}

TEST_F(SystemdTest, TheWatchdogIsFedFromTheLoopAtHalfItsInterval) {
  setenv("WATCHDOG_USEC", "40000", 1);
  Loop loop;
  const Instant begin = Loop::now();
  Watchdog watchdog(loop);
  EXPECT_EQ(heard(), "WATCHDOG=1");
  std::function<void()> look = [&] { heard() == "WATCHDOG=1" ? loop.stop() : loop.post(look); };
  loop.post(look);
  loop.run();
  EXPECT_GE(Loop::now() - begin, std::chrono::milliseconds(20));
}

TEST_F(SystemdTest, WhatAFileSaysNeverReachesTheTerminalAsACommand) {
  ::testing::internal::CaptureStderr();
  complain("store: near \"\xd4\x1b[2J\"\nM\xc3\xbcnchen");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "store: near \"\\xd4\\x1b[2J\"\nM\xc3\xbcnchen\n");
}

TEST_F(SystemdTest, WithoutAWatchdogNothingIsTold) {
  Loop loop;
  Watchdog watchdog(loop);
  EXPECT_EQ(heard(), "");
}

}  // namespace
}  // namespace splitnve::host
