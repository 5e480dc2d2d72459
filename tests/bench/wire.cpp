// SPDX-License-Identifier: Apache-2.0
#include "wire.hpp"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>

namespace splitnve::bench {
namespace {

constexpr std::uint16_t kEtherType = 0x88B5;  // for local experiments (IEEE 802)
constexpr std::size_t kWarmUp = 200;
constexpr int kSilenceMs = 2000;

class RawSocket {
 public:
  explicit RawSocket(const std::string& interface_name)
      : fd_(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(kEtherType))) {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(kEtherType);
    address.sll_ifindex = static_cast<int>(if_nametoindex(interface_name.c_str()));
    usable_ = fd_ >= 0 && address.sll_ifindex != 0 &&
              bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
    if (!usable_) std::perror(("bench: raw socket on " + interface_name).c_str());
  }
  ~RawSocket() {
    if (fd_ >= 0) close(fd_);
  }
  RawSocket(const RawSocket&) = delete;
  RawSocket& operator=(const RawSocket&) = delete;

  bool usable() const { return usable_; }
  bool send(const std::vector<std::uint8_t>& frame) const {
    return ::send(fd_, frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size());
  }
  /// The next frame that came in; what this socket's own interface sends is not one.
  bool receive(std::vector<std::uint8_t>& frame) const {
    while (true) {
      sockaddr_ll from{};
      socklen_t length = sizeof(from);
      const ssize_t count = recvfrom(fd_, frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
      if (count < 0) return false;
      if (from.sll_pkttype != PACKET_OUTGOING) return true;
    }
  }
  bool readable() const {
    pollfd waiting{fd_, POLLIN, 0};
    return poll(&waiting, 1, kSilenceMs) == 1;
  }

 private:
  int fd_ = -1;
  bool usable_ = false;
};

/// Holds this process on one processor while it lives. The two ends get one each, as two daemons that are busy would:
/// left alone, the scheduler at times puts both on one, and at times does not.
class OnProcessor {
 public:
  explicit OnProcessor(unsigned which) {
    sched_getaffinity(0, sizeof(before_), &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(which % static_cast<unsigned>(sysconf(_SC_NPROCESSORS_ONLN)), &one);
    sched_setaffinity(0, sizeof(one), &one);
  }
  ~OnProcessor() { sched_setaffinity(0, sizeof(before_), &before_); }
  OnProcessor(const OnProcessor&) = delete;
  OnProcessor& operator=(const OnProcessor&) = delete;

 private:
  cpu_set_t before_{};
};

std::vector<std::uint8_t> frame_of(std::size_t octets) {
  std::vector<std::uint8_t> frame(octets, 0);
  const std::array<std::uint8_t, 14> header{
      0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02, 0, 0, 0, 0, 1, kEtherType >> 8, kEtherType & 0xFF};
  std::copy(header.begin(), header.end(), frame.begin());
  return frame;
}

[[noreturn]] void echo(const RawSocket& socket, std::size_t octets) {
  const OnProcessor processor(1);
  auto frame = frame_of(octets);
  while (socket.receive(frame) && socket.send(frame)) {
  }
  _exit(0);
}

}  // namespace

std::vector<double> round_trips_us(const std::string& here, const std::string& there, std::size_t octets,
                                   std::size_t rounds) {
  const RawSocket near(here), far(there);
  std::vector<double> samples;
  if (!near.usable() || !far.usable()) return samples;
  const pid_t peer = fork();
  if (peer == 0) echo(far, octets);
  const OnProcessor processor(0);
  auto frame = frame_of(octets);
  for (std::size_t n = 0; n < rounds + kWarmUp; ++n) {
    const auto sent = std::chrono::steady_clock::now();
    if (!near.send(frame) || (n == 0 && !near.readable()) || !near.receive(frame)) break;
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - sent;
    if (n >= kWarmUp) samples.push_back(took.count());
  }
  kill(peer, SIGKILL);
  waitpid(peer, nullptr, 0);
  return samples;
}

}  // namespace splitnve::bench
