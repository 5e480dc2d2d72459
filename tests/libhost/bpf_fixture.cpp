// SPDX-License-Identifier: Apache-2.0
#include "bpf_fixture.hpp"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iomanip>
#include <numeric>
#include <thread>

namespace splitnve::test {
namespace {

constexpr int kPatienceMs = 5000;
#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

}  // namespace

void run(const std::string& command) { ASSERT_EQ(std::system(command.c_str()), 0) << command; }

bool eventually(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

OctetString Frame::octets() const {
  OctetString out(18 + payload.size());
  BoundedWriter writer(out);
  writer.octets(to.octets());
  writer.octets(from.octets());
  if (tag) {
    writer.u16(0x8100);
    writer.u16(*tag);
  }
  writer.u16(type);
  writer.octets(payload);
  out.resize(writer.size());
  return out;
}

Frame Frame::parse(const OctetString& octets) {
  Frame frame;
  BoundedReader reader(octets);
  MacAddress::Bytes to{}, from{};
  reader.array(to);
  reader.array(from);
  frame.to = MacAddress(to);
  frame.from = MacAddress(from);
  reader.u16(frame.type);
  if (frame.type == 0x8100) {
    reader.u16(frame.tag.emplace());
    reader.u16(frame.type);
  }
  frame.payload.assign(reader.rest().begin(), reader.rest().end());
  EXPECT_FALSE(reader.failed());
  return frame;
}

std::ostream& operator<<(std::ostream& out, const Frame& frame) {
  out << frame.from.to_string() << " -> " << frame.to.to_string();
  if (frame.tag) out << " tag " << *frame.tag;
  return out << " type 0x" << std::hex << frame.type << std::dec << ", " << frame.payload.size() << " octets";
}

Wire::Wire(const std::string& interface_name, std::optional<std::uint16_t> type) {
  fd_ = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  EXPECT_GE(fd_, 0) << std::strerror(errno);
  const int on = 1, room = 8 << 20;
  EXPECT_EQ(::setsockopt(fd_, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on), 0);
  EXPECT_EQ(::setsockopt(fd_, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on), 0);
  EXPECT_EQ(::setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room), 0);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(type.value_or(ETH_P_ALL));
  address.sll_ifindex = static_cast<int>(::if_nametoindex(interface_name.c_str()));
  EXPECT_EQ(::bind(fd_, static_cast<sockaddr*>(static_cast<void*>(&address)), sizeof address), 0) << interface_name;
}

Wire::~Wire() { ::close(fd_); }

void Wire::send(const Frame& frame) const {
  const auto octets = frame.octets();
  while (::send(fd_, octets.data(), octets.size(), 0) != static_cast<ssize_t>(octets.size()))
    ASSERT_EQ(errno, ENOBUFS) << std::strerror(errno);
}

std::optional<Frame> Wire::read(int flags) const {
  OctetString octets(2048);
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(tpacket_auxdata))];
  iovec part{octets.data(), octets.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const auto length = ::recvmsg(fd_, &message, flags);
  if (length < 0) return std::nullopt;
  octets.resize(static_cast<std::size_t>(length));
  Frame frame = Frame::parse(octets);
  for (auto* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_PACKET || header->cmsg_type != PACKET_AUXDATA) continue;
    tpacket_auxdata data{};
    std::memcpy(&data, CMSG_DATA(header), sizeof data);
    if ((data.tp_status & TP_STATUS_VLAN_VALID) != 0) frame.tag = data.tp_vlan_tci;
  }
  return frame;
}

std::optional<Frame> Wire::receive() const {
  pollfd waiting{fd_, POLLIN, 0};
  if (::poll(&waiting, 1, kPatienceMs) != 1) return std::nullopt;
  return read(MSG_DONTWAIT);
}

bool Wire::silent() const { return !read(MSG_DONTWAIT | MSG_PEEK); }

InNetns::InNetns(const std::string& name) {
  back_ = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  const int there = ::open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(::setns(there, CLONE_NEWNET), 0) << name << ": " << std::strerror(errno);
  ::close(there);
}

InNetns::~InNetns() {
  EXPECT_EQ(::setns(back_, CLONE_NEWNET), 0);
  ::close(back_);
}

Outcome run_program(const host::BpfSwitch& bpf_switch, host::BpfSwitch::Program program, const std::string& interface,
                    const OctetString& octets) {
  Outcome outcome;
  outcome.frame.resize(octets.size() + 256);
  __sk_buff context{};
  context.ifindex = ::if_nametoindex(interface.c_str());
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = octets.data();
  options.data_size_in = static_cast<std::uint32_t>(octets.size());
  options.data_out = outcome.frame.data();
  options.data_size_out = static_cast<std::uint32_t>(outcome.frame.size());
  options.ctx_in = &context;
  options.ctx_size_in = sizeof context;
  options.repeat = 1;
  const int error = bpf_prog_test_run_opts(bpf_switch.program_fd(program), &options);
  EXPECT_EQ(error, 0) << std::strerror(-error);
  outcome.verdict = static_cast<int>(options.retval);
  outcome.frame.resize(options.data_size_out);
  return outcome;
}

void BpfSwitchTest::SetUp() {
  ASSERT_NE(std::getenv("SPLITNVE_ISOLATED"), nullptr) << "run it by tests/netns/isolate.sh";
  run("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1");
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  pin_root_ = std::string("/sys/fs/bpf/splitnve/") + test->name();
  config_.pin_root = pin_root_;
}

void BpfSwitchTest::TearDown() {
  if (bpf_switch_) {
    const auto gone = bpf_switch_->tear_down();
    EXPECT_TRUE(gone) << gone.error().to_string();
  }
  for (const auto& pair : pairs_) std::system(("ip link del " + pair + " 2>/dev/null").c_str());
}

void BpfSwitchTest::add_pair(const std::string& name) {
  run("ip link add " + name + " type veth peer name " + name + "-t");
  run("ip link set " + name + " up && ip link set " + name + "-t up");
  pairs_.push_back(name);
}

std::unique_ptr<host::BpfSwitch> BpfSwitchTest::open_at(const host::BpfSwitch::Config& config) {
  auto opened = host::BpfSwitch::open(config);
  EXPECT_TRUE(opened) << opened.error().to_string();
  return opened ? std::move(*opened) : nullptr;
}

void BpfSwitchTest::apply(const datapath::Rows& rows) {
  ASSERT_NE(bpf_switch_, nullptr);
  const auto result = bpf_switch_->apply(BatchId(7), rows);
  EXPECT_EQ(result.batch, BatchId(7));
  EXPECT_EQ(result.error, "");
  for (const auto& failure : result.failures) ADD_FAILURE() << failure.index << ": " << failure.cause;
}

std::uint64_t BpfSwitchTest::dropped(datapath::Drop reason) const {
  return bpf_switch_->drops()[static_cast<std::size_t>(reason)];
}

std::uint64_t BpfSwitchTest::dropped_in_all() const {
  const auto drops = bpf_switch_->drops();
  return std::accumulate(drops.begin(), drops.end(), std::uint64_t{0});
}

}  // namespace splitnve::test
