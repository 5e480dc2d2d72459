// SPDX-License-Identifier: Apache-2.0
// What a tenant must not say and what it may, on an access port (veth, tagged), a VM port (TAP), and out of a tunnel;
// and who may speak through a tunnel at all.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstring>

#include "bpf_fixture.hpp"

namespace splitnve::test {
namespace {

using datapath::Drop;
using datapath::PortRole;
using datapath::UnderlayAddress;
using host::BpfSwitch;

constexpr std::uint32_t kAccess = 1, kVm = 2;
constexpr std::uint32_t kBlue = 10, kVni = 5010;
const MacAddress kAlice = mac(1), kBob = mac(2), kCarol = mac(3), kStranger = mac(99);
const MacAddress kPortsOwn(0x020000000077);
constexpr std::uint16_t kIpv4 = 0x0800, kArp = 0x0806, kIpv6 = 0x86DD;

/// The VM's end of a TAP device.
class Tap {
 public:
  explicit Tap(const std::string& name) {
    fd_ = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    ifreq request{};
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    std::copy(name.begin(), name.end(), request.ifr_name);
    EXPECT_EQ(::ioctl(fd_, TUNSETIFF, &request), 0) << std::strerror(errno);
    run("ip link set " + name + " up");
  }
  ~Tap() { ::close(fd_); }
  Tap(const Tap&) = delete;
  Tap& operator=(const Tap&) = delete;

  void send(const Frame& frame) const {
    const auto octets = frame.octets();
    EXPECT_EQ(::write(fd_, octets.data(), octets.size()), static_cast<ssize_t>(octets.size()));
  }
  std::optional<Frame> receive() const {
    pollfd waiting{fd_, POLLIN, 0};
    if (::poll(&waiting, 1, 5000) != 1) return std::nullopt;
    OctetString octets(2048);
    const auto length = ::read(fd_, octets.data(), octets.size());
    if (length < 0) return std::nullopt;
    octets.resize(static_cast<std::size_t>(length));
    return Frame::parse(octets);
  }
  bool silent() const {
    pollfd waiting{fd_, POLLIN, 0};
    return ::poll(&waiting, 1, 0) == 0;
  }

 private:
  int fd_ = -1;
};

/// Sends whatever frame in VXLAN from an address of the underlay, as no nNVE of ours would.
class Tunneler {
 public:
  Tunneler(const std::string& from, const std::string& to) {
    const bool ipv6 = from.find(':') != std::string::npos;
    fd_ = ::socket(ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (ipv6) {
      sockaddr_in6 source{}, target{};
      source.sin6_family = target.sin6_family = AF_INET6;
      target.sin6_port = htons(4789);
      ::inet_pton(AF_INET6, from.c_str(), &source.sin6_addr);
      ::inet_pton(AF_INET6, to.c_str(), &target.sin6_addr);
      aim(&source, &target, sizeof source);
    } else {
      sockaddr_in source{}, target{};
      source.sin_family = target.sin_family = AF_INET;
      target.sin_port = htons(4789);
      ::inet_pton(AF_INET, from.c_str(), &source.sin_addr);
      ::inet_pton(AF_INET, to.c_str(), &target.sin_addr);
      aim(&source, &target, sizeof source);
    }
  }
  ~Tunneler() { ::close(fd_); }
  Tunneler(const Tunneler&) = delete;
  Tunneler& operator=(const Tunneler&) = delete;

  void send(const Frame& frame, std::uint32_t vni = kVni) const {
    OctetString datagram = {0x08, 0, 0, 0};
    for (const unsigned shift : {16u, 8u, 0u}) datagram.push_back(static_cast<std::uint8_t>(vni >> shift));
    datagram.push_back(0);
    const auto octets = frame.octets();
    datagram.insert(datagram.end(), octets.begin(), octets.end());
    EXPECT_EQ(::send(fd_, datagram.data(), datagram.size(), 0), static_cast<ssize_t>(datagram.size()))
        << std::strerror(errno);
  }

 private:
  void aim(const void* source, const void* target, socklen_t size) {
    EXPECT_EQ(::bind(fd_, static_cast<const sockaddr*>(source), size), 0) << std::strerror(errno);
    EXPECT_EQ(::connect(fd_, static_cast<const sockaddr*>(target), size), 0) << std::strerror(errno);
  }
  int fd_ = -1;
};

// Domain blue: alice on the access port p1 with tag 100, bob on the TAP without tag, carol behind the nNVE 192.0.2.2.
class BpfHygiene : public BpfSwitchTest {
 protected:
  void SetUp() override {
    BpfSwitchTest::SetUp();
    add_pair("p1");
    run("ip link set p1 address 02:00:00:00:00:77");
    access_ = std::make_unique<Wire>("p1-t");
    vm_ = std::make_unique<Tap>("tap0");
    run("ip netns add far");
    run("ip link add und mtu 1600 type veth peer name und mtu 1600 netns far");
    run("ip link set und up && ip -n far link set und up && ip -n far link set lo up");
    run("ip addr add 192.0.2.1/24 dev und && ip -n far addr add 192.0.2.2/24 dev und");
    run("ip -n far addr add 192.0.2.3/24 dev und");
    config_.vxlan = BpfSwitch::Vxlan{"vx0", 4789, UnderlayAddress::from_string("192.0.2.1")};
    open();
    apply(base_rows());
    nnve_ = tunneler("192.0.2.2", "192.0.2.1");
  }
  void TearDown() override {
    BpfSwitchTest::TearDown();
    run("ip link del und && ip netns del far");
  }
  static datapath::Rows base_rows() {
    datapath::Rows rows;
    rows.ports = {port_row(kAccess, "p1", PortRole::kAccess), port_row(kVm, "tap0", PortRole::kVm)};
    rows.domains = {blue({"192.0.2.2"})};
    rows.access = {access_row(kAccess, 100, kBlue), access_row(kVm, 0, kBlue)};
    rows.guards = {guard_row(kBlue, kAccess, kAlice, 1), guard_row(kBlue, kVm, kBob, 2)};
    rows.fdb = {local_row(kBlue, kAlice, 1, kAccess, 100), local_row(kBlue, kBob, 2, kVm, 0),
                remote_row(kBlue, kCarol, "192.0.2.2")};
    return rows;
  }
  static datapath::DomainRow blue(const std::vector<std::string>& remotes) {
    datapath::DomainRow row{DomainId(kBlue), true, kVni, std::nullopt, {member(kAccess, 100), member(kVm, 0)}, {}};
    for (const auto& remote : remotes) row.remote.push_back(*UnderlayAddress::from_string(remote));
    return row;
  }
  static std::unique_ptr<Tunneler> tunneler(const std::string& from, const std::string& to) {
    InNetns there("far");
    return std::make_unique<Tunneler>(from, to);
  }
  /// All three ways into blue: the same frame, each from a sender that is open there.
  void send_every_way(Frame frame) {
    frame.from = kAlice;
    frame.tag = 100;
    access_->send(frame);
    frame.tag.reset();
    frame.from = kBob;
    vm_->send(frame);
    frame.from = kCarol;
    nnve_->send(frame);
  }
  void expect_dropped(Drop reason, std::uint64_t count) {
    EXPECT_TRUE(eventually([&] { return dropped(reason) >= count; })) << dropped(reason) << " of " << count;
    EXPECT_EQ(dropped(reason), count);
  }
  void expect_silence() {
    EXPECT_TRUE(access_->silent());
    EXPECT_TRUE(vm_->silent());
  }

  std::unique_ptr<Wire> access_;
  std::unique_ptr<Tap> vm_;
  std::unique_ptr<Tunneler> nnve_;
};

Frame stacked(std::uint16_t type, std::uint16_t tci, std::uint16_t inner) {
  Frame frame{kBroadcast, kAlice, {}, type};
  const OctetString behind = {static_cast<std::uint8_t>(tci >> 8), static_cast<std::uint8_t>(tci),
                              static_cast<std::uint8_t>(inner >> 8), static_cast<std::uint8_t>(inner)};
  std::copy(behind.begin(), behind.end(), frame.payload.begin());
  return frame;
}

TEST_F(BpfHygiene, passes_plain_frames_every_way) {
  send_every_way({kBroadcast, {}, {}});
  EXPECT_EQ(vm_->receive(), (Frame{kBroadcast, kAlice, {}}));
  EXPECT_EQ(access_->receive(), (Frame{kBroadcast, kBob, 100}));
  EXPECT_EQ(access_->receive(), (Frame{kBroadcast, kCarol, 100}));
  EXPECT_EQ(vm_->receive(), (Frame{kBroadcast, kCarol, {}}));
  EXPECT_EQ(dropped_in_all(), 0u);
  EXPECT_EQ(bpf_switch_->flooded().frames, 3u);
  EXPECT_EQ(bpf_switch_->flooded().copies, 6u);  // two with one for the nNVE each, and two local ones
}

TEST_F(BpfHygiene, drops_control_frames_every_way) {
  std::uint64_t sent = 0;
  for (const std::uint16_t type : std::initializer_list<std::uint16_t>{0x8940, 0x88CC, 0x888E, 0x88E5}) {
    for (const auto& to : {kBroadcast, kAlice, kBob}) {
      send_every_way({to, {}, {}, type});
      expect_dropped(Drop::kControlFrame, sent += 3);
    }
  }
  for (std::uint64_t last = 0; last < 16; ++last) {
    for (const std::uint16_t type : std::initializer_list<std::uint16_t>{kTenantType, 38}) {  // also LLC, as STP is
      send_every_way({MacAddress(0x0180C2000000 + last), {}, {}, type});
      expect_dropped(Drop::kControlFrame, sent += 3);
    }
  }
  expect_silence();
  EXPECT_EQ(dropped_in_all(), sent);
}

TEST_F(BpfHygiene, drops_nested_tags_and_llc_every_way) {
  // A tag of a VM or in a tunnel is too much already, behind an access port's tag any other is. A VID 0 is one too.
  const std::vector<Frame> stacks = {stacked(0x8100, 100, kTenantType), stacked(0x88A8, 100, kTenantType),
                                     stacked(0x8100, 0, 0x8100), stacked(0x88A8, 0, kTenantType),
                                     stacked(0x9100, 5, kTenantType)};
  for (const auto& frame : stacks) {
    send_every_way(frame);
    EXPECT_TRUE(eventually([&] { return dropped_in_all() % 3 == 0 && dropped_in_all() > 0; }));
  }
  EXPECT_TRUE(eventually([&] { return dropped_in_all() == 3 * stacks.size(); }));
  // The VM's single tags are unknown ones; its VID 0 stack is nested.
  EXPECT_EQ(dropped(Drop::kNestedTag) + dropped(Drop::kUnknownTag), 3 * stacks.size());
  EXPECT_GE(dropped(Drop::kNestedTag), 2 * stacks.size() + 1);
  send_every_way({kBroadcast, {}, {}, 46});
  expect_dropped(Drop::kLlc, 3);
  send_every_way({kAlice, {}, {}, 0x05DC});
  expect_dropped(Drop::kLlc, 6);
  expect_silence();
}

TEST_F(BpfHygiene, drops_frames_from_and_to_the_nnves_own_address_every_way) {
  Frame to{kPortsOwn, kAlice, 100};
  access_->send(to);
  expect_dropped(Drop::kControlFrame, 1);
  access_->send({kBob, kPortsOwn, 100});
  expect_dropped(Drop::kControlFrame, 2);
  nnve_->send({kPortsOwn, kCarol, {}});
  expect_dropped(Drop::kControlFrame, 3);
  nnve_->send({kBob, kPortsOwn, {}});
  expect_dropped(Drop::kControlFrame, 4);
  nnve_->send({kBroadcast, kPortsOwn, {}});
  expect_dropped(Drop::kControlFrame, 5);
  vm_->send({kBob, kPortsOwn, {}});
  expect_dropped(Drop::kControlFrame, 6);
  expect_silence();

  run("ip link set p1 address 02:00:00:00:00:78");  // and the new one, once the row is set again
  datapath::Rows rows;
  rows.ports = {port_row(kAccess, "p1", PortRole::kAccess)};
  apply(rows);
  nnve_->send({kBob, mac(0x78), {}});
  expect_dropped(Drop::kControlFrame, 7);
  nnve_->send({kBob, kPortsOwn, {}});
  EXPECT_EQ(vm_->receive(), (Frame{kBob, kPortsOwn, {}}));
}

TEST_F(BpfHygiene, passes_what_a_host_says_before_it_has_an_address) {
  struct Spoken {
    const char* what;
    MacAddress to;
    std::uint16_t type;
    OctetString start;
  };
  OctetString dhcp(40), probe(28), solicitation(64), report(64);
  dhcp[3] = 40;
  dhcp[0] = 0x45;  // 0.0.0.0:68 -> 255.255.255.255:67
  dhcp[9] = 17;
  std::fill(dhcp.begin() + 16, dhcp.begin() + 20, 0xFF);
  dhcp[21] = 68;
  dhcp[23] = 67;
  probe = {0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1};
  solicitation[0] = report[0] = 0x60;  // from ::
  solicitation[5] = report[5] = 24;
  solicitation[6] = 58;
  solicitation[40] = 135;
  report[6] = 0;  // hop-by-hop with a router alert before MLD
  report[40] = 58;
  auto link_local = solicitation;
  link_local[8] = 0xFE;
  link_local[9] = 0x80;
  const std::vector<Spoken> spoken = {
      {"DHCP", kBroadcast, kIpv4, dhcp},
      {"ARP probe", kBroadcast, kArp, probe},
      {"DAD", MacAddress(0x3333FF000001), kIpv6, solicitation},
      {"MLD report", MacAddress(0x333300000016), kIpv6, report},
      {"NS from fe80::/10", MacAddress(0x3333FF000001), kIpv6, link_local},
  };
  for (const auto& [what, to, type, start] : spoken) {
    Frame frame{to, kAlice, 100, type};
    frame.payload.resize(std::max<std::size_t>(46, start.size()));
    std::copy(start.begin(), start.end(), frame.payload.begin());
    access_->send(frame);
    frame.tag.reset();
    EXPECT_EQ(vm_->receive(), frame) << what;
    frame.from = kBob;
    vm_->send(frame);
    frame.tag = 100;
    EXPECT_EQ(access_->receive(), frame) << what;
    frame.from = kStranger;
    access_->send(frame);  // of nobody's MAC it passes in no shape
  }
  expect_dropped(Drop::kSpoofedSource, spoken.size());
  expect_silence();
  EXPECT_EQ(dropped_in_all(), spoken.size());
}

TEST_F(BpfHygiene, takes_frames_only_from_nnves_of_the_domain) {
  const auto other = tunneler("192.0.2.3", "192.0.2.1");
  other->send({kBob, kStranger, {}});
  expect_dropped(Drop::kUnknownNnve, 1);
  other->send({kBroadcast, kCarol, {}});  // carol is, but not behind this one
  expect_dropped(Drop::kUnknownNnve, 2);
  other->send({kBob, kStranger, {}}, kVni + 1);
  expect_dropped(Drop::kUnknownVni, 1);
  expect_silence();

  datapath::Rows rows;
  rows.fdb = {remote_row(kBlue, kStranger, "192.0.2.3")};  // the owner of an address may speak with it
  apply(rows);
  other->send({kBob, kStranger, {}});
  EXPECT_EQ(vm_->receive(), (Frame{kBob, kStranger, {}}));
  other->send({kBob, mac(55), {}});
  expect_dropped(Drop::kUnknownNnve, 3);

  rows.fdb.clear();
  rows.domains = {blue({"192.0.2.9", "192.0.2.2", "192.0.2.3", "192.0.2.1"})};  // and so may whom we flood to
  apply(rows);
  other->send({kBob, mac(55), {}});
  EXPECT_EQ(vm_->receive(), (Frame{kBob, mac(55), {}}));
  rows.domains = {blue({"192.0.2.2"})};
  apply(rows);
  other->send({kBob, mac(55), {}});
  expect_dropped(Drop::kUnknownNnve, 4);
  expect_silence();
}

TEST_F(BpfHygiene, knows_nnves_by_ipv6_too) {
  for (const auto* where : {"", "ip netns exec far "})
    run(std::string(where) + "sysctl -qw net.ipv6.conf.und.disable_ipv6=0");
  run("ip addr add 2001:db8::1/64 dev und nodad && ip -n far addr add 2001:db8::2/64 dev und nodad");
  run("ip -n far addr add 2001:db8::3/64 dev und nodad");
  bpf_switch_->tear_down();
  config_.vxlan->local = UnderlayAddress::from_string("2001:db8::1");
  open();
  auto rows = base_rows();
  rows.domains = {blue({"2001:db8::2"})};
  rows.fdb.pop_back();
  apply(rows);
  tunneler("2001:db8::2", "2001:db8::1")->send({kBob, kCarol, {}});
  EXPECT_EQ(vm_->receive(), (Frame{kBob, kCarol, {}}));
  tunneler("2001:db8::3", "2001:db8::1")->send({kBob, kCarol, {}});
  expect_dropped(Drop::kUnknownNnve, 1);
  expect_silence();
}

}  // namespace
}  // namespace splitnve::test
