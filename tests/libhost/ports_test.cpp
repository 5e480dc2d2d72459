// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/ports.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>

#include "own_network.hpp"
#include "splitnve/host/log.hpp"
#include "splitnve/host/loop.hpp"

namespace splitnve::host {
namespace {

constexpr PortId kEast(1);
constexpr PortId kWest(2);

class PortsTest : public testing::OwnNetwork {
 protected:
  PortsTest() : log_(log_options()), deadline_(loop_, [this] { loop_.stop(); }) {}
  static LogOptions log_options() {
    LogOptions options;
    options.level = LogLevel::kError;
    return options;
  }
  Ports::Events events() {
    return {[this](PortId port, Octets frame) {
              if (port == kWest) received_.emplace_back(frame.begin(), frame.end());
            },
            [this] { ++batches_; }, [this](PortId port, const LinkInfo& link) { links_[port].push_back(link); }};
  }
  /// Runs the loop until the condition holds after some event, for at most ten seconds.
  template <class F>
  ::testing::AssertionResult run_until(F&& condition) {
    const Instant end = Loop::now() + std::chrono::seconds(10);
    while (!condition()) {
      if (Loop::now() > end) return ::testing::AssertionFailure() << "not within ten seconds";
      deadline_.arm(Loop::now() + std::chrono::milliseconds(20));
      loop_.run();
      loop_.restart();
    }
    return ::testing::AssertionSuccess();
  }
  static OctetString ecp(std::uint8_t fill) {
    return testing::frame_of(MacAddress(0x0180C200000Eu), {0x89, 0x40}, 46, fill);
  }

  Loop loop_;
  Log log_;
  Timer deadline_;
  std::vector<OctetString> received_;
  std::map<PortId, std::vector<LinkInfo>> links_;
  int batches_ = 0;
  std::unique_ptr<Ports> ports_ = std::make_unique<Ports>(loop_, log_, events());
};

TEST_F(PortsTest, QueuedFramesLeaveWithTheFlushAndArriveInOrder) {
  ASSERT_TRUE(ports_->open(kEast, "east"));
  ASSERT_TRUE(ports_->open(kWest, "west"));
  for (std::uint8_t i = 0; i < 100; ++i) ports_->queue(kEast, ecp(i));
  EXPECT_EQ(ports_->stats(kEast)->tx_frames, 0u);
  ports_->flush();
  EXPECT_EQ(ports_->stats(kEast)->tx_frames, 100u);
  ASSERT_TRUE(run_until([&] { return received_.size() == 100; }));
  for (std::uint8_t i = 0; i < 100; ++i) EXPECT_EQ(received_[i].back(), i);
  EXPECT_GE(batches_, 1);
}

TEST_F(PortsTest, OpeningTellsTheLinkAndItsChangesFollow) {
  ASSERT_TRUE(ports_->open(kWest, "west"));
  ASSERT_EQ(links_[kWest].size(), 1u);
  EXPECT_TRUE(links_[kWest][0].up);
  EXPECT_FALSE(links_[kWest][0].mac.is_zero());
  run("ip link set east down");
  ASSERT_TRUE(run_until([&] { return !links_[kWest].back().up; }));
  run("ip link set east up");
  ASSERT_TRUE(run_until([&] { return links_[kWest].back().up; }));
  run("ip link set west address 02:00:00:00:77:01");
  ASSERT_TRUE(run_until([&] { return links_[kWest].back().mac == MacAddress(0x020000007701u); }));
}

TEST_F(PortsTest, AnInterfaceThatComesBackCarriesFramesAgain) {
  ASSERT_TRUE(ports_->open(kEast, "east"));
  ASSERT_TRUE(ports_->open(kWest, "west"));
  const unsigned old_index = links_[kWest].back().index;
  run("ip link del east");
  ASSERT_TRUE(run_until([&] { return links_[kWest].back().index == 0 && links_[kEast].back().index == 0; }));
  EXPECT_FALSE(links_[kWest].back().up);
  ports_->queue(kEast, ecp(1));
  EXPECT_EQ(ports_->frames_without_port(), 1u);
  SetUp();
  ASSERT_TRUE(run_until([&] { return links_[kWest].back().up && links_[kEast].back().up; }));
  EXPECT_NE(links_[kWest].back().index, old_index);
  ports_->queue(kEast, ecp(2));
  ports_->flush();
  ASSERT_TRUE(run_until([&] { return !received_.empty(); }));
  EXPECT_EQ(received_[0], ecp(2));
}

TEST_F(PortsTest, AReplacedInterfaceIsToldAsGoneAndThenAsPresent) {
  ASSERT_TRUE(ports_->open(kWest, "west"));
  const unsigned old_index = links_[kWest].back().index;
  run("ip link del east");
  SetUp();  // before the loop looks
  ASSERT_TRUE(run_until([&] { return links_[kWest].back().up && links_[kWest].back().index != old_index; }));
  bool gone_between = false;
  for (const LinkInfo& link : links_[kWest]) gone_between = gone_between || link.index == 0;
  EXPECT_TRUE(gone_between);
}

TEST_F(PortsTest, AWatchedInterfaceMayBeAbsentAndAppear) {
  ASSERT_TRUE(ports_->watch(PortId(3), "tap9"));
  ASSERT_EQ(links_[PortId(3)].size(), 1u);
  EXPECT_EQ(links_[PortId(3)][0].index, 0u);
  run("ip link set west name tap9");
  ASSERT_TRUE(run_until([&] { return links_[PortId(3)].back().index != 0; }));
  run("ip link set tap9 name west");
  ASSERT_TRUE(run_until([&] { return links_[PortId(3)].back().index == 0; }));
}

/// A process that keeps a network namespace of its own.
class OtherNetwork {
 public:
  OtherNetwork() {
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    pid_ = fork();
    if (pid_ == 0) {
      const char done = unshare(CLONE_NEWNET) == 0 ? 1 : 0;
      if (write(ready[1], &done, 1) == 1) pause();
      _exit(0);
    }
    char done = 0;
    EXPECT_EQ(read(ready[0], &done, 1), 1);
    EXPECT_EQ(done, 1);
    close(ready[0]);
    close(ready[1]);
  }
  ~OtherNetwork() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  OtherNetwork(const OtherNetwork&) = delete;
  OtherNetwork& operator=(const OtherNetwork&) = delete;
  std::string pid() const { return std::to_string(pid_); }

 private:
  pid_t pid_ = -1;
};

/// Both ends of this pair have one index, which the kernel takes for a physical interface: it reports the link of such
/// a one up to a second late.
TEST_F(PortsTest, ALinkIsUpAsSoonAsItHasACarrier) {
  const OtherNetwork other;
  run("ip link add twin index 77 type veth peer name twin index 77 netns " + other.pid());
  run("nsenter -t " + other.pid() + " -n ip link set twin up");
  for (int round = 0; round < 3; ++round) {
    run("ip link set twin up");
    EXPECT_TRUE(link_of("twin").value_or(LinkInfo{}).up) << round;
    run("ip link set twin down");
    EXPECT_FALSE(link_of("twin").value_or(LinkInfo{}).up) << round;
  }
}

TEST_F(PortsTest, AMissingInterfaceIsAwaitedAndAUsedPortIdIsAnError) {
  ASSERT_TRUE(ports_->open(kWest, "nowhere0"));
  ASSERT_TRUE(ports_->link(kWest));
  EXPECT_EQ(ports_->link(kWest)->index, 0u);
  ports_->close(kWest);
  ASSERT_TRUE(ports_->open(kWest, "west"));
  EXPECT_FALSE(ports_->open(kWest, "east"));
  ports_->close(kWest);
  EXPECT_TRUE(ports_->open(kWest, "east"));
  EXPECT_FALSE(ports_->link(kEast));
}

}  // namespace
}  // namespace splitnve::host
