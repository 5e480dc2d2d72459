// SPDX-License-Identifier: Apache-2.0
// Pins of an older layout are carried over by copy, while frames flow.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <thread>

#include "bpf/switch_maps.h"
#include "bpf_fixture.hpp"
#include "bpf_switch_migrate.hpp"

namespace splitnve::test {
namespace {

namespace fs = std::filesystem;
using datapath::Drop;
using datapath::PortRole;
using host::bpf::PinnedRow;
using host::bpf::Step;

constexpr std::uint32_t kPort1 = 1, kPort2 = 2;
constexpr std::uint32_t kBlue = 10;
const MacAddress kAlice = mac(1), kBob = mac(2), kStranger = mac(99);

/// Makes a map and pins it; the caller closes it.
int pinned_map(bpf_map_type type, std::uint32_t key, std::uint32_t value, std::uint32_t entries, const fs::path& pin) {
  const int fd = bpf_map_create(type, nullptr, key, value, entries, nullptr);
  EXPECT_GE(fd, 0) << std::strerror(errno);
  fs::create_directories(pin.parent_path());
  EXPECT_EQ(bpf_obj_pin(fd, pin.c_str()), 0) << std::strerror(errno);
  return fd;
}

datapath::Rows base_rows() {
  datapath::Rows rows;
  rows.ports = {port_row(kPort1, "p1", PortRole::kAccess), port_row(kPort2, "p2", PortRole::kAccess)};
  rows.domains = {{DomainId(kBlue), true, 5010, std::nullopt, {member(kPort1, 100), member(kPort2, 200)}, {}}};
  rows.access = {access_row(kPort1, 100, kBlue), access_row(kPort2, 200, kBlue)};
  rows.guards = {guard_row(kBlue, kPort1, kAlice, 1), guard_row(kBlue, kPort2, kBob, 2)};
  rows.fdb = {local_row(kBlue, kAlice, 1, kPort1, 100), local_row(kBlue, kBob, 2, kPort2, 200)};
  // What older programs let through goes on until the daemon says otherwise.
  for (auto& row : rows.ports) row.host_traffic = datapath::HostTraffic::kInherited;
  for (auto& row : rows.guards) row.ip = {false, false, true, true};
  return rows;
}

// Values of an older layout were shorter: the rows of today cut to that, under the pin of that time.
void shorten(const fs::path& pin, std::size_t value_size) {
  const int now = bpf_obj_get(pin.c_str());
  ASSERT_GE(now, 0);
  bpf_map_info info{};
  std::uint32_t length = sizeof info;
  ASSERT_EQ(bpf_obj_get_info_by_fd(now, &info, &length), 0);
  fs::remove(pin);
  const int before =
      pinned_map(BPF_MAP_TYPE_HASH, info.key_size, static_cast<std::uint32_t>(value_size), info.max_entries, pin);
  std::vector<std::uint8_t> key(info.key_size), value(info.value_size);
  const void* at = nullptr;
  while (bpf_map_get_next_key(now, at, key.data()) == 0) {
    at = key.data();
    ASSERT_EQ(bpf_map_lookup_elem(now, key.data(), value.data()), 0);
    ASSERT_EQ(bpf_map_update_elem(before, key.data(), value.data(), BPF_ANY), 0);
  }
  ::close(now);
  ::close(before);
}

// A switch that a daemon of an older layout left behind, its programs attached: the maps of today under the old name,
// but without those that it did not have, with the guard and the fewer drop reasons of then.
class BpfMigration : public BpfSwitchTest {
 protected:
  static constexpr std::uint32_t kDropsOfLayout1 = 14, kDropsOfLayout2 = 15;

  void SetUp() override {
    BpfSwitchTest::SetUp();
    add_pair("p1");
    add_pair("p2");
    one_ = std::make_unique<Wire>("p1-t");
    two_ = std::make_unique<Wire>("p2-t");
    config_.instances_max = 1024;
    open();
    apply(base_rows());
    one_->send({kBob, kStranger, 100});
    one_->send({kBob, kAlice, 100});
    EXPECT_EQ(two_->receive(), (Frame{kBob, kAlice, 200}));
    bpf_switch_.reset();
    become_layout_1();
  }
  fs::path folder(int layout) const { return fs::path(pin_root_) / ("v" + std::to_string(layout)); }
  void become_layout_1() {
    become_layout(1, kDropsOfLayout1);
    for (const auto* newer : {"own_addresses", "floods"}) fs::remove(folder(1) / newer);
  }
  /// Layouts 3 and 4 differ in how the kernel holds their rows only.
  void become_layout_4(int name) {
    using namespace host::bpf;
    fs::rename(folder(SWITCH_LAYOUT), folder(name));
    for (const auto* newer : {"link_locals", "storms"}) fs::remove(folder(name) / newer);
    shorten(folder(name) / "ports", offsetof(switch_port, flags));
    shorten(folder(name) / "domains", offsetof(switch_domain, n_reserved));
    shorten(folder(name) / "instance_counters", offsetof(switch_counters, dropped_storm));
  }
  void become_layout(int layout, std::uint32_t reasons) {
    become_layout_4(layout);
    for (const auto* newer : {"ips", "drops"}) fs::remove(folder(layout) / newer);
    shorten(folder(layout) / "guard", offsetof(host::bpf::switch_guard, flags));  // the instance only
    const int drops = pinned_map(BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, reasons, folder(layout) / "drops");
    const std::vector<std::uint64_t> per_cpu(static_cast<std::size_t>(libbpf_num_possible_cpus()), 3);
    const std::uint32_t reason = static_cast<std::uint32_t>(Drop::kLlc);
    EXPECT_EQ(bpf_map_update_elem(drops, &reason, per_cpu.data(), BPF_ANY), 0);
    ::close(drops);
  }
  void expect_forwarding() {
    one_->send({kBob, kAlice, 100});
    EXPECT_EQ(two_->receive(), (Frame{kBob, kAlice, 200}));
  }
  void expect_migrated() {
    EXPECT_FALSE(fs::exists(folder(1)) || fs::exists(folder(2)));
    EXPECT_TRUE(fs::exists(folder(SWITCH_LAYOUT) / "own_addresses"));
    const auto report = bpf_switch_->reconcile(base_rows());
    ASSERT_TRUE(report) << report.error().to_string();
    EXPECT_EQ(report->differences(), 0u);
    EXPECT_EQ(report->unchanged, 9u);
    expect_forwarding();
  }

  std::unique_ptr<Wire> one_, two_;
};

TEST_F(BpfMigration, carries_rows_and_counters_of_the_older_layout) {
  expect_forwarding();  // by the old programs
  open();
  EXPECT_EQ(counters(1).rx_frames, 1u);  // as they were when the pins became old
  EXPECT_EQ(dropped(Drop::kLlc), 3u * static_cast<unsigned>(libbpf_num_possible_cpus()));
  expect_migrated();
  EXPECT_EQ(counters(1).rx_frames, 2u);
  one_->send({kBob, kAlice, 100, 0x8940});
  EXPECT_TRUE(eventually([&] { return dropped(Drop::kControlFrame) == 1; }));
}

TEST_F(BpfMigration, carries_the_layout_whose_rows_were_allocated_on_demand) {
  open();  // layout 1 becomes that of today
  bpf_switch_.reset();
  become_layout_4(3);
  open();
  EXPECT_FALSE(fs::exists(folder(3)));
  expect_migrated();
}

TEST_F(BpfMigration, carries_the_layout_without_ip_and_guards_none) {
  open();  // layout 1 becomes that of today
  bpf_switch_.reset();
  become_layout(2, kDropsOfLayout2);
  open();
  const auto dump = bpf_switch_->dump();
  ASSERT_TRUE(dump);
  ASSERT_EQ(dump->guards.size(), 2u);
  for (const auto& row : dump->guards) EXPECT_EQ(row.ip, (datapath::IpGuard{false, false, true, true}));
  EXPECT_TRUE(dump->ips.empty());
  expect_migrated();
}

TEST_F(BpfMigration, lets_untagged_traffic_and_routers_through_as_before_until_it_is_told) {
  open();
  auto told = *bpf_switch_->dump();
  for (const auto& row : told.ports) EXPECT_EQ(row.host_traffic, datapath::HostTraffic::kInherited);
  const auto pass = [&](const Frame& frame) {
    return run_program(*bpf_switch_, host::BpfSwitch::Program::kPort, "p1", frame.octets()).verdict;
  };
  EXPECT_EQ(pass({kBob, kStranger, {}, 0x0806}), kPass);
  for (auto& row : told.ports) row.host_traffic = datapath::HostTraffic::kClosed;
  ASSERT_TRUE(bpf_switch_->reconcile(told));
  EXPECT_EQ(pass({kBob, kStranger, {}, 0x0806}), kShot);
  bpf_switch_.reset();
  open();  // and stays so
  EXPECT_EQ(pass({kBob, kStranger, {}, 0x0806}), kShot);
}

TEST_F(BpfMigration, loses_no_frame) {
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
  for (int i = 0; i < 3; ++i) {
    open();
    bpf_switch_.reset();
    become_layout_1();
  }
  open();
  stop = true;
  sender.join();
  EXPECT_GT(sent, 100u);
  for (std::uint32_t expected = 0; expected < sent; ++expected) {
    const auto frame = two_->receive();
    ASSERT_TRUE(frame) << expected << " of " << sent;
    std::uint32_t number = 0;
    for (unsigned i = 0; i < 4; ++i) number |= std::uint32_t{frame->payload[i]} << (8 * i);
    ASSERT_EQ(number, expected);
  }
  expect_migrated();
}

TEST_F(BpfMigration, begins_again_after_a_crash_in_the_middle) {
  fs::create_directories(pin_root_ + "/aside");
  fs::rename(folder(1), fs::path(pin_root_) / "aside" / "v1");  // layout 1, whole
  open();  // the layout of today, without rows: as far as the crashed one came
  bpf_switch_.reset();
  fs::rename(fs::path(pin_root_) / "aside" / "v1", folder(1));
  fs::remove(fs::path(pin_root_) / "aside");
  open();
  expect_migrated();
}

TEST_F(BpfMigration, makes_room_for_what_the_older_layout_held) {
  config_.instances_max = 1;
  open();
  expect_migrated();
}

TEST_F(BpfMigration, refuses_maps_that_are_not_what_their_folder_says) {
  fs::remove(folder(1) / "guard");
  const int strange = pinned_map(BPF_MAP_TYPE_HASH, 4, 4, 16, folder(1) / "guard");
  const std::uint32_t one = 1;
  bpf_map_update_elem(strange, &one, &one, BPF_ANY);
  const auto refused = host::BpfSwitch::open(config_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().to_string(),
            "guard: the pinned map is not of the layout that its folder names (stop the daemon, remove its pins, and "
            "start it)");
  EXPECT_TRUE(fs::exists(folder(1) / "fdb"));
  expect_forwarding();
  ::close(strange);
  fs::remove_all(folder(1));
  fs::remove_all(folder(SWITCH_LAYOUT));
}

// --- artificial layouts ---

// Layout A: u32 -> u32. Layout B adds a field, the double of the first. Layout C drops odd keys and shortens keys.
std::optional<PinnedRow> add_double(const std::string& map, PinnedRow row) {
  EXPECT_EQ(map, "rows");
  std::uint32_t value = 0;
  std::memcpy(&value, row.value.data(), sizeof value);
  value *= 2;
  row.value.resize(8);
  std::memcpy(row.value.data() + 4, &value, sizeof value);
  return row;
}
std::optional<PinnedRow> drop_odd(const std::string&, PinnedRow row) {
  if ((row.key[0] & 1) != 0) return std::nullopt;
  row.key.resize(2);  // little-endian
  return row;
}

class BpfPins : public BpfSwitchTest {
 protected:
  void SetUp() override {
    BpfSwitchTest::SetUp();
    old_ = pinned_map(BPF_MAP_TYPE_HASH, 4, 4, 8192, pin_root_ + "/v1/rows");
    for (std::uint32_t key = 0; key < 5000; ++key) {
      const std::uint32_t value = key + 7;
      ASSERT_EQ(bpf_map_update_elem(old_, &key, &value, BPF_ANY), 0);
    }
  }
  void TearDown() override {
    ::close(old_);
    EXPECT_TRUE(host::bpf::remove_pins(pin_root_ + "/v1"));
    EXPECT_TRUE(host::bpf::remove_pins(pin_root_ + "/v3"));
    EXPECT_FALSE(fs::exists(pin_root_ + "/v1"));
    fs::remove(pin_root_);
  }
  int old_ = -1;
};

TEST_F(BpfPins, go_through_every_step_between_two_layouts) {
  const int now = pinned_map(BPF_MAP_TYPE_HASH, 2, 8, 8192, pin_root_ + "/v3/rows");
  const int unrelated = pinned_map(BPF_MAP_TYPE_HASH, 4, 4, 8, pin_root_ + "/v3/new_one");
  const std::vector<Step> steps = {add_double, drop_odd};
  const auto copied = host::bpf::copy_pins(pin_root_ + "/v1", pin_root_ + "/v3", steps);
  ASSERT_TRUE(copied) << copied.error().to_string();
  for (std::uint16_t key = 0; key < 5000; ++key) {
    std::array<std::uint32_t, 2> value{};
    ASSERT_EQ(bpf_map_lookup_elem(now, &key, value.data()) == 0, key % 2 == 0) << key;
    if (key % 2 != 0) continue;
    EXPECT_EQ(value[0], key + 7u);
    EXPECT_EQ(value[1], 2 * (key + 7u));
  }
  std::uint32_t none = 0;
  EXPECT_NE(bpf_map_get_next_key(unrelated, nullptr, &none), 0);
  ::close(now);
  ::close(unrelated);
}

TEST_F(BpfPins, say_which_map_has_no_room) {
  const int now = pinned_map(BPF_MAP_TYPE_HASH, 4, 4, 100, pin_root_ + "/v3/rows");
  const auto copied = host::bpf::copy_pins(pin_root_ + "/v1", pin_root_ + "/v3", {});
  ASSERT_FALSE(copied);
  EXPECT_EQ(copied.error().to_string(),
            "rows: cannot carry 4900 rows of the older layout over: Argument list too long");
  ::close(now);
}

TEST_F(BpfPins, of_several_older_layouts_the_oldest_is_whole) {
  fs::create_directories(pin_root_ + "/v3");
  fs::create_directories(pin_root_ + "/vault");
  EXPECT_EQ(host::bpf::older_layout(pin_root_, 4), 1u);
  EXPECT_EQ(host::bpf::older_layout(pin_root_, 1), std::nullopt);
  auto layouts = host::bpf::layouts_in(pin_root_);
  std::sort(layouts.begin(), layouts.end());
  EXPECT_EQ(layouts, (std::vector<unsigned>{1, 3}));
  fs::remove(pin_root_ + "/vault");
}

}  // namespace
}  // namespace splitnve::test
