// SPDX-License-Identifier: Apache-2.0
// What outlives the daemon, how the next one takes it over, and when it refuses to.
#include <bpf/bpf.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <thread>

#include "bpf_fixture.hpp"

namespace splitnve::test {
namespace {

namespace fs = std::filesystem;
using datapath::Drop;
using datapath::PortRole;
using host::BpfSwitch;

constexpr std::uint32_t kPort1 = 1, kPort2 = 2;
constexpr std::uint32_t kBlue = 10;
const MacAddress kAlice = mac(1), kBob = mac(2), kStranger = mac(99);

datapath::Rows base_rows() {
  datapath::Rows rows;
  rows.ports = {port_row(kPort1, "p1", PortRole::kAccess), port_row(kPort2, "p2", PortRole::kAccess)};
  rows.domains = {{DomainId(kBlue), true, 5010, std::nullopt, {member(kPort1, 100), member(kPort2, 200)}, {}}};
  rows.access = {access_row(kPort1, 100, kBlue), access_row(kPort2, 200, kBlue)};
  rows.guards = {guard_row(kBlue, kPort1, kAlice, 1), guard_row(kBlue, kPort2, kBob, 2)};
  rows.fdb = {local_row(kBlue, kAlice, 1, kPort1, 100), local_row(kBlue, kBob, 2, kPort2, 200)};
  return rows;
}

class BpfRestart : public BpfSwitchTest {
 protected:
  void SetUp() override {
    BpfSwitchTest::SetUp();
    add_pair("p1");
    add_pair("p2");
    one_ = std::make_unique<Wire>("p1-t");
    two_ = std::make_unique<Wire>("p2-t");
  }
  void expect_forwarding() {
    one_->send({kBob, kAlice, 100});
    EXPECT_EQ(two_->receive(), (Frame{kBob, kAlice, 200}));
  }
  host::ReconcileReport reconcile(const datapath::Rows& rows) {
    const auto report = bpf_switch_->reconcile(rows);
    EXPECT_TRUE(report) << report.error().to_string();
    return report.value_or(host::ReconcileReport{});
  }
  std::uint32_t attached_program(const std::string& interface) {
    FILE* out =
        ::popen(("tc filter show dev " + interface + " ingress | sed -n 's/.* id \\([0-9]*\\) .*/\\1/p'").c_str(), "r");
    std::uint32_t id = 0;
    EXPECT_EQ(std::fscanf(out, "%u", &id), 1) << interface;
    ::pclose(out);
    return id;
  }
  /// Runs in a child process; returns its wait status.
  static int in_child(const std::function<int()>& body) {
    const auto child = ::fork();
    if (child == 0) ::_exit(body());
    int status = -1;
    ::waitpid(child, &status, 0);
    return status;
  }
  /// What `open` says in a child that has lost something; the child's exit status is 0 if it says exactly this.
  void expect_refusal_in_child(const std::function<void()>& lose, const std::string& line) {
    const int status = in_child([&] {
      lose();
      const auto opened = BpfSwitch::open(config_);
      if (opened) return 1;
      if (opened.error().to_string() == line) return 0;
      std::fprintf(stderr, "%s\n", opened.error().to_string().c_str());
      return 2;
    });
    EXPECT_EQ(status, 0) << line;
  }

  std::unique_ptr<Wire> one_, two_;
};

TEST_F(BpfRestart, keep_forwarding_without_a_daemon_and_take_everything_over) {
  open();
  apply(base_rows());
  expect_forwarding();
  bpf_switch_.reset();
  expect_forwarding();
  open();
  expect_forwarding();
  EXPECT_EQ(counters(1).rx_frames, 3u);
  const auto report = reconcile(base_rows());
  EXPECT_EQ(report.differences(), 0u);
  EXPECT_EQ(report.unchanged, 9u);
  EXPECT_TRUE(report.failures.empty());
}

TEST_F(BpfRestart, lose_no_frame_while_the_programs_are_replaced) {
  open();
  apply(base_rows());
  const auto program = attached_program("p1");
  std::atomic<bool> stop = false;
  std::uint32_t sent = 0;
  std::thread sender([&] {
    Frame frame{kBob, kAlice, 100};
    while (!stop) {
      for (unsigned i = 0; i < 4; ++i) frame.payload[i] = static_cast<std::uint8_t>(sent >> (8 * i));
      one_->send(frame);
      ++sent;
      std::this_thread::sleep_for(std::chrono::microseconds(50));  // a rate, not a wait
    }
  });
  for (int i = 0; i < 5; ++i) {
    bpf_switch_.reset();
    open();
    EXPECT_EQ(reconcile(base_rows()).differences(), 0u);
  }
  stop = true;
  sender.join();
  EXPECT_NE(attached_program("p1"), program);
  EXPECT_GT(sent, 100u);
  for (std::uint32_t expected = 0; expected < sent; ++expected) {
    const auto frame = two_->receive();
    ASSERT_TRUE(frame) << expected << " of " << sent;
    std::uint32_t number = 0;
    for (unsigned i = 0; i < 4; ++i) number |= std::uint32_t{frame->payload[i]} << (8 * i);
    ASSERT_EQ(number, expected);
  }
  EXPECT_EQ(counters(1).rx_frames, sent);
  EXPECT_EQ(dropped_in_all(), 0u);
}

TEST_F(BpfRestart, forward_on_after_kill_minus_nine) {
  const int status = in_child([&] {
    open();
    apply(base_rows());
    ::kill(::getpid(), SIGKILL);
    return 0;
  });
  ASSERT_TRUE(WIFSIGNALED(status));
  expect_forwarding();
  open();
  EXPECT_EQ(reconcile(base_rows()).differences(), 0u);
  expect_forwarding();
}

TEST_F(BpfRestart, bring_exactly_the_wanted_rows_and_remove_strangers) {
  add_pair("p3");
  open();
  auto rows = base_rows();
  rows.ports.push_back(port_row(3, "p3", PortRole::kAccess));
  rows.domains.push_back({DomainId(55), true, 5055, std::nullopt, {}, {}});
  rows.access.push_back(access_row(3, 300, 55));
  rows.guards.push_back(guard_row(55, 3, kStranger, 9));
  rows.fdb.push_back(local_row(55, kStranger, 9, 3, 300));
  rows.fdb[1] = remote_row(kBlue, kBob, "192.0.2.7");  // wrong
  rows.guards.erase(rows.guards.begin());              // missing
  apply(rows);
  const Wire three("p3-t");
  three.send({kBob, kStranger, 300});
  ASSERT_TRUE(eventually([&] { return counters(9).rx_frames == 1; }));

  const auto report = reconcile(base_rows());
  EXPECT_EQ(report.added, 1u);
  EXPECT_EQ(report.changed, 1u);
  EXPECT_EQ(report.removed, 5u);
  EXPECT_EQ(report.unchanged, 7u);
  const auto dump = bpf_switch_->dump();
  ASSERT_TRUE(dump);
  auto dumped = *dump;
  std::sort(dumped.access.begin(), dumped.access.end(), [](auto& a, auto& b) { return a.port < b.port; });
  std::sort(dumped.guards.begin(), dumped.guards.end(), [](auto& a, auto& b) { return a.port < b.port; });
  std::sort(dumped.fdb.begin(), dumped.fdb.end(), [](auto& a, auto& b) { return a.mac < b.mac; });
  EXPECT_EQ(dumped.ports, base_rows().ports);
  EXPECT_EQ(dumped.domains, base_rows().domains);
  EXPECT_EQ(dumped.access, base_rows().access);
  EXPECT_EQ(dumped.guards, base_rows().guards);
  EXPECT_EQ(dumped.fdb, base_rows().fdb);
  EXPECT_EQ(counters(9).rx_frames, 0u);
  run("test -z \"$(tc filter show dev p3 ingress)\"");
  expect_forwarding();
}

TEST_F(BpfRestart, keep_rows_when_the_next_daemon_numbers_its_ports_otherwise) {
  open();
  apply(base_rows());
  bpf_switch_.reset();
  open();
  datapath::Rows rows;
  rows.ports = {port_row(2, "p1", PortRole::kAccess), port_row(1, "p2", PortRole::kAccess)};
  rows.domains = {{DomainId(kBlue), true, 5010, std::nullopt, {member(2, 100), member(1, 200)}, {}}};
  rows.access = {access_row(2, 100, kBlue), access_row(1, 200, kBlue)};
  rows.guards = {guard_row(kBlue, 2, kAlice, 1), guard_row(kBlue, 1, kBob, 2)};
  rows.fdb = {local_row(kBlue, kAlice, 1, 2, 100), local_row(kBlue, kBob, 2, 1, 200)};
  const auto report = reconcile(rows);
  EXPECT_EQ(report.changed, 2u);  // the two ports' numbers, no row
  EXPECT_EQ(report.unchanged, 7u);
  EXPECT_EQ(report.differences(), 2u);
  expect_forwarding();
}

TEST_F(BpfRestart, put_back_a_filter_that_somebody_removed) {
  open();
  apply(base_rows());
  run("tc filter del dev p1 ingress");
  reconcile(base_rows());
  expect_forwarding();
}

TEST_F(BpfRestart, report_rows_of_a_missing_interface_and_keep_the_others) {
  open();
  auto rows = base_rows();
  rows.ports[1].interface_name = "nowhere";
  const auto report = reconcile(rows);
  // Port, access, guard, fdb. A member of a flood list without an interface stands in nobody's way: it is left out.
  ASSERT_EQ(report.failures.size(), 4u);
  EXPECT_EQ(report.failures[0].table, datapath::Table::kPort);
  EXPECT_EQ(report.failures[0].index, 1u);
  EXPECT_EQ(report.failures[0].cause, "there is no interface nowhere");
  EXPECT_EQ(bpf_switch_->dump()->guards, std::vector<datapath::GuardRow>{base_rows().guards[0]});
}

TEST_F(BpfRestart, forget_rows_that_name_interfaces_of_another_namespace) {
  open();
  apply(base_rows());
  bpf_switch_.reset();
  run("ip netns add elsewhere");
  {
    InNetns there("elsewhere");
    open();
    const auto dump = bpf_switch_->dump();
    ASSERT_TRUE(dump);
    EXPECT_TRUE(dump->empty());
    EXPECT_TRUE(bpf_switch_->tear_down());
    bpf_switch_.reset();
  }
  run("ip netns del elsewhere");
}

TEST_F(BpfRestart, keep_the_size_of_pinned_maps) {
  config_.instances_max = 16;
  open();
  apply(base_rows());
  bpf_switch_.reset();
  config_.instances_max = 1024;
  open();
  EXPECT_EQ(reconcile(base_rows()).differences(), 0u);
}

TEST_F(BpfRestart, leave_nothing_after_tear_down) {
  config_.vxlan = BpfSwitch::Vxlan{"vx0", 4789, {}};
  open();
  apply(base_rows());
  ASSERT_TRUE(bpf_switch_->tear_down());
  EXPECT_FALSE(fs::exists(pin_root_));
  run("! ip link show vx0 2>/dev/null");
  run("test -z \"$(tc qdisc show clsact)\"");
  EXPECT_EQ(bpf_switch_->apply(BatchId(1), base_rows()).error, "the eBPF switch was torn down");
  EXPECT_FALSE(bpf_switch_->reconcile(base_rows()));
}

TEST_F(BpfRestart, refuse_pins_of_a_newer_layout) {
  fs::create_directories(pin_root_ + "/v6");
  const auto refused = BpfSwitch::open(config_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().to_string(), pin_root_ +
                                             ": pins of a newer layout, 6; this version knows 5 (start the newer "
                                             "version, or let it drain first)");
  EXPECT_FALSE(fs::exists(pin_root_ + "/v5"));
  EXPECT_TRUE(fs::exists(pin_root_ + "/v6")) << "left alone";
  fs::remove_all(pin_root_);
}

TEST_F(BpfRestart, refuse_a_pin_root_that_is_on_no_bpffs) {
  config_.pin_root = "/run/tmp/pins";
  const auto refused = BpfSwitch::open(config_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().to_string(), "/run/tmp/pins: no bpffs is mounted here (mount -t bpf bpf /sys/fs/bpf)");
  EXPECT_FALSE(fs::exists("/run/tmp/pins"));
}

TEST_F(BpfRestart, say_that_permission_is_missing) {
  expect_refusal_in_child([] { EXPECT_EQ(::setresuid(65534, 65534, 65534), 0); },
                          "bpf(): no permission to use BPF (run as root, or with CAP_BPF and CAP_NET_ADMIN)");
}

TEST_F(BpfRestart, say_that_the_kernel_has_no_bpf) {
  const auto without_bpf = [] {
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog program{static_cast<unsigned short>(std::size(filter)), filter};
    EXPECT_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    EXPECT_EQ(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
  };
  expect_refusal_in_child(without_bpf, "bpf(): this kernel has no BPF (the eBPF switch needs CONFIG_BPF_SYSCALL)");
}

}  // namespace
}  // namespace splitnve::test
