// SPDX-License-Identifier: Apache-2.0
// Interfaces, raw frames and a switch over them, for the tests of the eBPF switch. Everything is made in the namespaces
// of tests/netns/isolate.sh, which the kernel takes away afterwards.
#pragma once
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "splitnve/base/bytes.hpp"
#include "splitnve/host/bpf_switch.hpp"

namespace splitnve::test {

inline constexpr std::uint16_t kTenantType = 0x88B5;  // IEEE local experimental

/// Runs a shell command and fails the test if it fails.
void run(const std::string& command);
/// Waits up to 5 s for a condition; false if it never held.
bool eventually(const std::function<bool()>& holds);

/// An Ethernet frame of 60 octets or more as it would stand on the wire.
struct Frame {
  MacAddress to;
  MacAddress from;
  std::optional<std::uint16_t> tag;
  std::uint16_t type = kTenantType;
  OctetString payload = OctetString(46);

  OctetString octets() const;
  static Frame parse(const OctetString& octets);
  friend bool operator==(const Frame&, const Frame&) = default;
};
std::ostream& operator<<(std::ostream& out, const Frame& frame);

/// A packet socket on one interface: sends inline tags, and receives with the tag put back where it was.
class Wire {
 public:
  /// With an EtherType it hears only what passed the switch, as a protocol of the host's stack would.
  explicit Wire(const std::string& interface_name, std::optional<std::uint16_t> type = {});
  ~Wire();
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  void send(const Frame& frame) const;
  /// The next frame of another sender; `nullopt` after five seconds.
  std::optional<Frame> receive() const;
  /// Whether nothing waits here now.
  bool silent() const;

 private:
  std::optional<Frame> read(int flags) const;
  int fd_ = -1;
};

/// Works in another network namespace of `ip netns` as long as it lives.
class InNetns {
 public:
  explicit InNetns(const std::string& name);
  ~InNetns();
  InNetns(const InNetns&) = delete;
  InNetns& operator=(const InNetns&) = delete;

 private:
  int back_ = -1;
};

/// What a program did with one frame.
struct Outcome {
  int verdict = -1;  ///< TC_ACT_*
  OctetString frame;
};
inline constexpr int kPass = 0;      // TC_ACT_OK
inline constexpr int kShot = 2;      // TC_ACT_SHOT
inline constexpr int kConsumed = 4;  // TC_ACT_STOLEN
inline constexpr int kRedirected = 7;

/// Runs a program on a frame as if it came in on an interface (BPF_PROG_TEST_RUN: the tag is inline).
Outcome run_program(const host::BpfSwitch& bpf_switch, host::BpfSwitch::Program program, const std::string& interface,
                    const OctetString& octets);

/// A switch with a pin root of its own, and pairs of interfaces `NAME` (the switch's end) and `NAME-t` (the tenant's).
class BpfSwitchTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  void add_pair(const std::string& name);
  void open() { bpf_switch_ = open_at(config_); }
  static std::unique_ptr<host::BpfSwitch> open_at(const host::BpfSwitch::Config& config);
  /// Applies rows and fails the test if one of them fails.
  void apply(const datapath::Rows& rows);
  std::uint64_t dropped(datapath::Drop reason) const;
  std::uint64_t dropped_in_all() const;
  datapath::InstanceCounters counters(std::uint32_t instance) const {
    return bpf_switch_->instance_counters(InstanceId(instance));
  }

  std::string pin_root_;
  host::BpfSwitch::Config config_;
  std::unique_ptr<host::BpfSwitch> bpf_switch_;
  std::vector<std::string> pairs_;
};

// --- rows in short ---

inline MacAddress mac(std::uint64_t n) { return MacAddress(0x020000000000 + n); }
inline const MacAddress kBroadcast = MacAddress(0xFFFFFFFFFFFF);

inline datapath::PortRow port_row(std::uint32_t port, const std::string& name, datapath::PortRole role) {
  return {PortId(port), name, role, true};
}
inline datapath::AccessRow access_row(std::uint32_t port, std::uint16_t tag, std::optional<std::uint32_t> domain) {
  return {PortId(port), Vid(tag), domain ? std::optional(DomainId(*domain)) : std::nullopt, false};
}
inline datapath::GuardRow guard_row(std::uint32_t domain, std::uint32_t port, MacAddress address,
                                    std::optional<std::uint32_t> instance) {
  return {DomainId(domain), PortId(port), address, instance ? std::optional(InstanceId(*instance)) : std::nullopt};
}
inline datapath::FdbRow local_row(std::uint32_t domain, MacAddress address, std::uint32_t instance, std::uint32_t port,
                                  std::uint16_t tag) {
  return {DomainId(domain), address, datapath::LocalOwner{InstanceId(instance), PortId(port), Vid(tag)}};
}
inline datapath::FdbRow remote_row(std::uint32_t domain, MacAddress address, const std::string& nnve) {
  return {DomainId(domain), address, datapath::RemoteOwner{*datapath::UnderlayAddress::from_string(nnve)}};
}
inline datapath::FdbRow no_owner(std::uint32_t domain, MacAddress address) {
  return {DomainId(domain), address, std::nullopt};
}
inline datapath::FloodMember member(std::uint32_t port, std::uint16_t tag) { return {PortId(port), Vid(tag)}; }

}  // namespace splitnve::test
