// SPDX-License-Identifier: Apache-2.0
// Two VMs with a real IP stack and every offload on, from a hypervisor's VM port over an access port and VXLAN to the
// VM port of another switch: nothing arrives cut, doubled or with a wrong checksum (S25).
//
//   alice -- hv: VM port, uplink tag 300 -- here: access port tag 300, VXLAN == underlay == far: VXLAN, VM port -- bob
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <fstream>
#include <random>
#include <thread>
#include <tuple>

#include "ip_frames.hpp"

namespace splitnve::test {
namespace {

using datapath::PortRole;
using datapath::UnderlayAddress;
using host::BpfSwitch;

constexpr std::uint32_t kVmPort = 1, kUplink = 2, kAccess = 3;
constexpr std::uint32_t kBlue = 10, kVni = 5010;
constexpr std::uint16_t kTag = 300;
const MacAddress kAlice = mac(1), kBob = mac(2);

/// How a VM is joined to its port.
enum class Joint : std::uint8_t {
  kVeth,
  kTap,       ///< segments and checksums left to the other side, as vhost and QEMU do
  kPlainTap,  ///< a guest without offloads: every frame whole, with its checksum
};

int open_tap(const std::string& name, bool offloads) {
  const int fd = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  ifreq request{};
  request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
  std::copy(name.begin(), name.end(), request.ifr_name);
  EXPECT_EQ(::ioctl(fd, TUNSETIFF, &request), 0) << std::strerror(errno);
  const unsigned features = offloads ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 : 0u;
  EXPECT_EQ(::ioctl(fd, TUNSETOFFLOAD, features), 0) << std::strerror(errno);
  return fd;
}

/// What a hypervisor's process does: carries frames between the port's TAP and the VM's network card.
class Guest {
 public:
  Guest(int port, int card) : port_(port), card_(card), thread_([this] { carry(); }) {}
  ~Guest() {
    stop_ = true;
    thread_.join();
    ::close(port_);
    ::close(card_);
  }
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;

 private:
  void carry() const {
    std::vector<std::uint8_t> buffer(70000);
    while (!stop_) {
      std::array<pollfd, 2> waiting = {pollfd{port_, POLLIN, 0}, pollfd{card_, POLLIN, 0}};
      ::poll(waiting.data(), waiting.size(), 50);
      pass(port_, card_, buffer);
      pass(card_, port_, buffer);
    }
  }
  static void pass(int from, int to, std::vector<std::uint8_t>& buffer) {
    for (int i = 0; i < 64; ++i) {
      const auto length = ::read(from, buffer.data(), buffer.size());
      if (length <= 0) return;
      // A card whose link is still down refuses; the sender will repeat.
      if (::write(to, buffer.data(), static_cast<std::size_t>(length)) != length) return;
    }
  }

  int port_, card_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

/// A TCP socket of a namespace that gives up instead of hanging.
int tcp_socket(const std::string& netns) {
  InNetns there(netns);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{30, 0};
  EXPECT_EQ(::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
  EXPECT_EQ(::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience), 0);
  return fd;
}

sockaddr_in bobs_port() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(5001);
  ::inet_pton(AF_INET, "10.0.0.2", &address.sin_addr);
  return address;
}

const sockaddr* generic(const sockaddr_in& address) {
  return static_cast<const sockaddr*>(static_cast<const void*>(&address));
}

class BpfOffloads : public BpfSwitchTest, public ::testing::WithParamInterface<std::tuple<Joint, bool>> {
 protected:
  void SetUp() override {
    BpfSwitchTest::SetUp();
    pin_root_ = "/sys/fs/bpf/splitnve/offloads";
    for (const auto* name : {"alice", "hv", "far", "bob"}) {
      run(std::string("ip netns add ") + name);
      run(std::string("ip netns exec ") + name + " sysctl -qw net.ipv6.conf.all.disable_ipv6=1 " +
          "net.ipv6.conf.default.disable_ipv6=1");
    }
    run("ip link add p1 type veth peer name upl netns hv && ip link set p1 up && ip -n hv link set upl up");
    run("ip link add und mtu 1600 type veth peer name und mtu 1600 netns far");
    run("ip link set und up && ip -n far link set und up");
    for (const auto* where : {"", "ip netns exec far "})
      run(std::string(where) + "sysctl -qw net.ipv6.conf.und.disable_ipv6=0");
    run("ip addr add 192.0.2.1/24 dev und && ip -n far addr add 192.0.2.2/24 dev und");
    run("ip addr add 2001:db8::1/64 dev und nodad && ip -n far addr add 2001:db8::2/64 dev und nodad");
    alice_ = join("alice", "hv", kAlice, "10.0.0.1/24");
    bob_ = join("bob", "far", kBob, "10.0.0.2/24");
    open_hypervisor();
    open_here();
    open_far();
  }
  void TearDown() override {
    {
      InNetns there("hv");
      hypervisor_->tear_down();
    }
    {
      InNetns there("far");
      far_->tear_down();
    }
    BpfSwitchTest::TearDown();
    alice_.reset();
    bob_.reset();
    run("ip link del und && ip link del p1");
    for (const auto* name : {"alice", "hv", "far", "bob"}) run(std::string("ip netns del ") + name);
  }

  static bool over_ipv6() { return std::get<bool>(GetParam()); }
  static std::string underlay(unsigned host) {
    return (over_ipv6() ? "2001:db8::" : "192.0.2.") + std::to_string(host);
  }
  /// A VM in a namespace of its own, whose card `eth0` is joined to the port `vm` of a switch.
  std::unique_ptr<Guest> join(const std::string& vm, const std::string& at, MacAddress address, const std::string& ip) {
    const auto joint = std::get<Joint>(GetParam());
    std::unique_ptr<Guest> guest;
    if (joint == Joint::kVeth) {
      run("ip link add vm netns " + at + " type veth peer name eth0 netns " + vm);
    } else {
      int port = -1, card = -1;
      {
        InNetns there(at);
        port = open_tap("vm", joint == Joint::kTap);
      }
      {
        InNetns there(vm);
        card = open_tap("eth0", joint == Joint::kTap);
      }
      guest = std::make_unique<Guest>(port, card);
    }
    run("ip -n " + vm + " link set eth0 address " + address.to_string() + " up && ip -n " + at + " link set vm up");
    run("ip -n " + vm + " addr add " + ip + " dev eth0");
    return guest;
  }
  void open_hypervisor() {
    InNetns there("hv");
    hypervisor_ = open_at({pin_root_ + "_hv", {}, 1024});
    datapath::Rows rows;
    rows.ports = {port_row(kVmPort, "vm", PortRole::kVm), port_row(kUplink, "upl", PortRole::kUplink)};
    rows.domains = {{DomainId(kBlue), true, 0, member(kUplink, kTag), {member(kVmPort, 0)}, {}}};
    rows.access = {access_row(kVmPort, 0, kBlue), access_row(kUplink, kTag, kBlue)};
    rows.guards = {guard_row(kBlue, kVmPort, kAlice, 1)};
    rows.fdb = {local_row(kBlue, kAlice, 1, kVmPort, 0)};
    EXPECT_TRUE(hypervisor_->apply(BatchId(1), rows).ok());
  }
  void open_here() {
    config_ = {pin_root_, BpfSwitch::Vxlan{"vx0", 4789, UnderlayAddress::from_string(underlay(1))}, 1024};
    open();
    datapath::Rows rows;
    rows.ports = {port_row(kAccess, "p1", PortRole::kAccess)};
    rows.domains = {domain({member(kAccess, kTag)}, underlay(2))};
    rows.access = {access_row(kAccess, kTag, kBlue)};
    rows.guards = {guard_row(kBlue, kAccess, kAlice, 1)};
    rows.fdb = {local_row(kBlue, kAlice, 1, kAccess, kTag), remote_row(kBlue, kBob, underlay(2))};
    apply(rows);
  }
  void open_far() {
    InNetns there("far");
    far_ =
        open_at({pin_root_ + "_far", BpfSwitch::Vxlan{"vx0", 4789, UnderlayAddress::from_string(underlay(2))}, 1024});
    datapath::Rows rows;
    rows.ports = {port_row(kVmPort, "vm", PortRole::kVm)};
    rows.domains = {domain({member(kVmPort, 0)}, underlay(1))};
    rows.access = {access_row(kVmPort, 0, kBlue)};
    rows.guards = {guard_row(kBlue, kVmPort, kBob, 2)};
    rows.fdb = {local_row(kBlue, kBob, 2, kVmPort, 0), remote_row(kBlue, kAlice, underlay(1))};
    EXPECT_TRUE(far_->apply(BatchId(1), rows).ok());
  }
  static datapath::DomainRow domain(const std::vector<datapath::FloodMember>& local, const std::string& remote) {
    return {DomainId(kBlue), true, kVni, std::nullopt, local, {*UnderlayAddress::from_string(remote)}};
  }
  /// Signals an IPv4 address and an IPv6 prefix of each VM to the switches that guard it.
  void guard_addresses() {
    const auto guarded = [](std::uint32_t port, MacAddress address, std::uint32_t instance, const char* ipv4) {
      datapath::Rows rows;
      rows.ips = {ip_row(instance, address, ipv4), ip_row(instance, address, "fd00::/64")};
      rows.guards = {guard_row(kBlue, port, address, instance)};
      rows.guards[0].ip = {true, true, false, false};
      return rows;
    };
    apply(guarded(kAccess, kAlice, 1, "10.0.0.1"));
    {
      InNetns there("hv");
      EXPECT_TRUE(hypervisor_->apply(BatchId(2), guarded(kVmPort, kAlice, 1, "10.0.0.1")).ok());
    }
    InNetns there("far");
    EXPECT_TRUE(far_->apply(BatchId(2), guarded(kVmPort, kBob, 2, "10.0.0.2")).ok());
  }
  std::uint64_t dropped_anywhere() const {
    std::uint64_t sum = 0;
    for (const auto* each : {bpf_switch_.get(), hypervisor_.get(), far_.get()})
      for (const auto frames : each->drops()) sum += frames;
    return sum;
  }
  /// Segments that a namespace's TCP refused for their checksum.
  static std::string wrong_checksums(const std::string& netns) {
    InNetns there(netns);
    std::ifstream snmp("/proc/thread-self/net/snmp");
    std::string names, values;
    for (std::string line; std::getline(snmp, line);)
      if (line.rfind("Tcp:", 0) == 0) std::swap(names, values), values = line;
    return values.substr(values.find_last_of(' ') + 1);
  }
  static OctetString random_octets(std::size_t size) {
    std::mt19937 random(7);
    OctetString octets(size);
    for (auto& octet : octets) octet = static_cast<std::uint8_t>(random());
    return octets;
  }
  /// What bob receives of what alice sends.
  static OctetString transfer(const OctetString& sent) {
    const auto target = bobs_port();
    const int listener = tcp_socket("bob"), client = tcp_socket("alice");
    EXPECT_EQ(::bind(listener, generic(target), sizeof target), 0) << std::strerror(errno);
    EXPECT_EQ(::listen(listener, 1), 0);
    EXPECT_EQ(::connect(client, generic(target), sizeof target), 0) << std::strerror(errno);
    const int server = ::accept(listener, nullptr, nullptr);
    EXPECT_GE(server, 0) << std::strerror(errno);
    std::thread sender([&] {
      for (std::size_t at = 0; at < sent.size();) {
        const auto length = ::send(client, sent.data() + at, sent.size() - at, MSG_NOSIGNAL);
        if (length <= 0) break;
        at += static_cast<std::size_t>(length);
      }
      ::shutdown(client, SHUT_WR);
    });
    OctetString received, part(1 << 17);
    for (ssize_t length = 0; (length = ::recv(server, part.data(), part.size(), 0)) > 0;)
      received.insert(received.end(), part.begin(), part.begin() + length);
    sender.join();
    for (const int fd : {listener, client, server}) ::close(fd);
    return received;
  }

  std::unique_ptr<BpfSwitch> hypervisor_, far_;
  std::unique_ptr<Guest> alice_, bob_;
};

TEST_P(BpfOffloads, carry_a_full_sized_packet_that_must_not_be_fragmented) {
  run("ip netns exec alice ping -q -M do -s 1472 -c 3 -i 0.01 -W 5 10.0.0.2 >/dev/null");
  run("ip netns exec bob ping -q -M do -s 1472 -c 3 -i 0.01 -W 5 10.0.0.1 >/dev/null");
  run("! ip netns exec alice ping -q -M do -s 1473 -c 1 -W 1 10.0.0.2 >/dev/null 2>&1");
  EXPECT_EQ(dropped_in_all(), 0u);
}

TEST_P(BpfOffloads, carry_a_tcp_stream_octet_by_octet) {
  const auto sent = random_octets(8 << 20);
  const auto received = transfer(sent);
  ASSERT_EQ(received.size(), sent.size());
  EXPECT_TRUE(received == sent);
  EXPECT_EQ(wrong_checksums("bob"), "0");
  EXPECT_EQ(wrong_checksums("alice"), "0");

  const auto counted = hypervisor_->instance_counters(InstanceId(1));
  EXPECT_GE(counted.rx_octets, sent.size());
  const auto headers = counted.rx_octets - sent.size();
  if (std::get<Joint>(GetParam()) == Joint::kPlainTap)
    EXPECT_GE(headers, 54 * counted.rx_frames);  // each frame has its own
  else
    EXPECT_LT(headers, 54 * counted.rx_frames / 2);  // segments were cut later than here: offloads were at work
  EXPECT_EQ(dropped_in_all(), 0u);
}

TEST_P(BpfOffloads, carry_all_that_the_stacks_of_guarded_vms_say_for_themselves) {
  guard_addresses();
  for (const auto& [vm, host] : {std::pair("alice", "1"), std::pair("bob", "2")}) {
    const std::string inside = std::string("ip netns exec ") + vm + " ";
    run(inside + "sysctl -qw net.ipv6.conf.eth0.disable_ipv6=0");  // link-local and its duplicate detection, MLD, RS
    run(std::string("ip -n ") + vm + " addr add fd00::" + host + "/64 dev eth0");
  }
  for (const auto* vm : {"alice", "bob"})
    EXPECT_TRUE(eventually([&] {
      return std::system((std::string("test -z \"$(ip -n ") + vm + " -6 addr show dev eth0 tentative)\"").c_str()) == 0;
    }));
  run("ip netns exec alice ping -q -c 3 -i 0.01 -W 5 fd00::2 >/dev/null");
  run("ip netns exec bob ping -q -c 3 -i 0.01 -W 5 -s 4000 fd00::1 >/dev/null");  // in fragments
  run("ip netns exec bob ping -q -c 3 -i 0.01 -W 5 -s 4000 10.0.0.1 >/dev/null");
  const auto sent = random_octets(8 << 20);
  EXPECT_TRUE(transfer(sent) == sent);
  EXPECT_EQ(dropped_anywhere(), 0u);

  run("ip -n alice addr add 10.0.0.9/24 dev eth0");
  run("! ip netns exec alice ping -q -I 10.0.0.9 -c 1 -W 1 10.0.0.2 >/dev/null 2>&1");
  EXPECT_GT(hypervisor_->drops()[static_cast<std::size_t>(datapath::Drop::kSpoofedIp)], 0u);
  EXPECT_EQ(dropped_in_all(), 0u);  // it came no further
}

std::string name_of(const ::testing::TestParamInfo<std::tuple<Joint, bool>>& info) {
  const std::string underlay = std::get<bool>(info.param) ? "_over_ipv6" : "_over_ipv4";
  switch (std::get<Joint>(info.param)) {
    case Joint::kVeth: return "veth" + underlay;
    case Joint::kTap: return "tap" + underlay;
    case Joint::kPlainTap: return "plain_tap" + underlay;
  }
  return {};
}
INSTANTIATE_TEST_SUITE_P(Ways, BpfOffloads,
                         ::testing::Combine(::testing::Values(Joint::kVeth, Joint::kTap, Joint::kPlainTap),
                                            ::testing::Bool()),
                         name_of);

}  // namespace
}  // namespace splitnve::test
