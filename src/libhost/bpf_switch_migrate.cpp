// SPDX-License-Identifier: Apache-2.0
#include "bpf_switch_migrate.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>

#include "bpf/switch_maps.h"
#include "bpf_switch_map.hpp"
#include "splitnve/base/check.hpp"

namespace splitnve::host::bpf {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kOldestLayout = 1;

OctetString octets(const void* data, std::size_t size) {
  const auto* first = static_cast<const std::uint8_t*>(data);
  return OctetString(first, first + size);
}

// Layout 2: one more drop reason, `own_addresses` and `floods` are new; rows are as before.
std::optional<PinnedRow> from_1_to_2(const std::string&, PinnedRow row) { return row; }

// Layout 3: the guard's value ends with its flags, none as yet; `ips` and six drop reasons are new.
std::optional<PinnedRow> from_2_to_3(const std::string& map, PinnedRow row) {
  if (map == "guard") row.value.resize(row.value.size() + sizeof(switch_guard::flags));
  return row;
}

// Layout 4: guards and FDB have their entries from the start; rows are as before.
std::optional<PinnedRow> from_3_to_4(const std::string&, PinnedRow row) { return row; }

// Layout 5: what older programs let through goes on until the daemon has said what shall be (S41, S47): untagged
// traffic to the host, and router advertisements and DHCP servers of sources without IP guard. Limits, reserved
// addresses and the counter of storms are new.
std::optional<PinnedRow> from_4_to_5(const std::string& map, PinnedRow row) {
  if (map == "ports") {
    switch_port port{};
    row.value.resize(sizeof port);  // flags and limits were not there
    std::memcpy(&port, row.value.data(), sizeof port);
    if (port.role == SWITCH_ROLE_ACCESS) port.flags = SWITCH_HOST_INHERITED;
    row.value = octets(&port, sizeof port);
  } else if (map == "guard" && row.value.size() == sizeof(switch_guard)) {
    switch_guard guard{};
    std::memcpy(&guard, row.value.data(), sizeof guard);
    if ((guard.flags & (SWITCH_GUARD_IPV4 | SWITCH_GUARD_IPV6)) == 0) guard.flags |= SWITCH_ANY_IP;
    row.value = octets(&guard, sizeof guard);
  } else if (map == "domains") {
    row.value.resize(row.value.size() + sizeof(switch_domain::n_reserved) + sizeof(switch_domain::reserved));
  } else if (map == "instance_counters") {
    row.value.resize(row.value.size() + sizeof(switch_counters::dropped_storm));
  }
  return row;
}

const std::vector<Step>& all_steps() {
  static const std::vector<Step> steps = {from_1_to_2, from_2_to_3, from_3_to_4, from_4_to_5};
  return steps;
}

// A pinned map, open as long as this lives.
class Pin {
 public:
  explicit Pin(const fs::path& path) : fd_(bpf_obj_get(path.c_str())) {
    std::uint32_t length = sizeof info_;
    if (fd_ >= 0 && bpf_obj_get_info_by_fd(fd_, &info_, &length) != 0) info_ = {};
  }
  ~Pin() {
    if (fd_ >= 0) ::close(fd_);
  }
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;

  bool is_map() const { return fd_ >= 0 && info_.key_size != 0; }
  std::size_t key_size() const { return info_.key_size; }
  std::size_t value_size() const {
    const bool per_cpu = info_.type == BPF_MAP_TYPE_PERCPU_ARRAY || info_.type == BPF_MAP_TYPE_PERCPU_HASH;
    if (!per_cpu) return info_.value_size;
    const auto cpus = static_cast<std::size_t>(std::max(1, libbpf_num_possible_cpus()));
    return (info_.value_size + std::size_t{7}) / 8 * 8 * cpus;
  }
  RawMap rows() const { return {fd_, key_size(), value_size()}; }

 private:
  int fd_;
  bpf_map_info info_{};
};

std::optional<PinnedRow> carried(const std::string& map, PinnedRow row, std::span<const Step> steps) {
  std::optional<PinnedRow> now = std::move(row);
  for (const auto& step : steps) {
    if (!now) break;
    now = step(map, std::move(*now));
  }
  return now;
}

std::optional<unsigned> layout_of(const std::string& folder) {
  unsigned layout = 0;
  if (folder.size() < 2 || folder[0] != 'v') return std::nullopt;
  const auto [end, failure] = std::from_chars(folder.data() + 1, folder.data() + folder.size(), layout);
  if (failure != std::errc() || end != folder.data() + folder.size()) return std::nullopt;
  return layout;
}

Result<void> copy_map(const std::string& name, const Pin& from, const Pin& to, std::span<const Step> steps) {
  OctetString keys, values;
  std::size_t count = 0, misfits = 0;
  auto read = from.rows().read_all([&](const void* key, const void* value) {
    const auto row = carried(name, {octets(key, from.key_size()), octets(value, from.value_size())}, steps);
    if (!row) return;
    misfits += row->key.size() == to.key_size() && row->value.size() == to.value_size() ? 0 : 1;
    keys.insert(keys.end(), row->key.begin(), row->key.end());
    values.insert(values.end(), row->value.begin(), row->value.end());
    ++count;
  });
  if (!read) return read;
  if (misfits != 0)
    return unexpected<Error>(Error{"the pinned map is not of the layout that its folder names", name,
                                   "stop the daemon, remove its pins, and start it"});
  const auto refused = to.rows().put(keys.data(), values.data(), count);
  if (refused.empty()) return {};
  return unexpected<Error>(Error{"cannot carry " + std::to_string(refused.size()) +
                                     " rows of the older layout over: " + std::strerror(refused.front().error),
                                 name, ""});
}

}  // namespace

std::span<const Step> steps_from(unsigned layout) {
  static_assert(SWITCH_LAYOUT == 5, "a new layout needs a step that leads to it");
  ensure(layout >= kOldestLayout && layout <= SWITCH_LAYOUT, "a layout that never was");
  return std::span(all_steps()).subspan(layout - kOldestLayout);
}

std::string layout_folder(const std::string& root, unsigned layout) {
  return std::string(root).append("/v").append(std::to_string(layout));
}

std::vector<unsigned> layouts_in(const std::string& root) {
  std::vector<unsigned> layouts;
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(root, failure))
    if (const auto layout = layout_of(entry.path().filename().string())) layouts.push_back(*layout);
  return layouts;
}

std::optional<unsigned> older_layout(const std::string& root, unsigned layout) {
  std::optional<unsigned> oldest;
  for (const unsigned found : layouts_in(root))
    if (found >= kOldestLayout && found < layout && found < oldest.value_or(layout)) oldest = found;
  return oldest;
}

Result<void> copy_pins(const std::string& from, const std::string& to, std::span<const Step> steps) {
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(to, failure)) {
    const auto name = entry.path().filename();
    const Pin before(fs::path(from) / name), now(entry.path());
    if (!before.is_map() || !now.is_map()) continue;
    if (auto copied = copy_map(name.string(), before, now, steps); !copied) return copied;
  }
  if (failure) return unexpected<Error>(Error{"cannot read the folder of pins: " + failure.message(), to, ""});
  return {};
}

Result<void> remove_pins(const std::string& folder) {
  std::error_code failure;
  std::vector<fs::path> pins;
  for (const auto& entry : fs::directory_iterator(folder, failure)) pins.push_back(entry.path());
  for (const auto& pin : pins)
    if (!failure) fs::remove(pin, failure);
  if (!failure) fs::remove(folder, failure);
  if (failure) return unexpected<Error>(Error{"cannot remove the pins: " + failure.message(), folder, ""});
  return {};
}

}  // namespace splitnve::host::bpf
