// SPDX-License-Identifier: Apache-2.0
// The loaded programs and their pinned maps.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bpf/switch_maps.h"
#include "bpf_switch_map.hpp"
#include "splitnve/base/result.hpp"
#include "splitnve/host/bpf_switch.hpp"

struct switch_bpf;  // NOLINT(readability-identifier-naming): named by bpftool

namespace splitnve::host::bpf {

struct Maps {
  Map<std::uint32_t, switch_port> ports;
  Map<switch_access_key, switch_access> access;
  Map<switch_guard_key, switch_guard> guard;
  Map<switch_ip_key, std::uint32_t> ips;
  Map<switch_fdb_key, switch_fdb> fdb;
  Map<std::uint32_t, switch_domain> domains;
  Map<std::uint32_t, std::uint32_t> vnis;
  Map<std::uint32_t, switch_counters> counters;
  Map<std::uint32_t, switch_settings> settings;
  Map<switch_mac, std::uint32_t> own_addresses;
  Map<switch_link_local, std::uint32_t> link_locals;
  Map<switch_storm_key, switch_storm> storms;
  int floods_fd = -1;
  int drops_fd = -1;
  int strays_fd = -1;
};

/// Programs of this build over maps that are pinned in `<pin_root>/v<layout>`; found pins are reused with their rows,
/// and rows of an older layout are copied.
class Object {
 public:
  static Result<std::unique_ptr<Object>> load(const BpfSwitch::Config& config);
  ~Object();
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  const Maps& maps() const { return maps_; }
  int program_fd(BpfSwitch::Program program) const;
  static const char* program_name(BpfSwitch::Program program);
  /// Ids of this build's programs and of those that were pinned before them.
  const std::vector<std::uint32_t>& known_programs() const { return known_programs_; }
  const std::vector<int>& former_programs() const { return former_programs_; }
  /// Pins the programs of this build in place of the former ones.
  Result<void> pin_programs();
  /// Pins that are missing or lead elsewhere; with `mend`, they are made anew.
  std::vector<std::string> examine_pins(bool mend);
  /// Removes the pins whose rows were copied.
  Result<void> forget_older();
  /// Removes the pins and the folders that are empty then. The maps live on while programs are attached.
  Result<void> unpin();

 private:
  Object(switch_bpf* skeleton, std::string folder);

  std::string program_pin(BpfSwitch::Program program) const;

  switch_bpf* skeleton_;
  std::string folder_;
  std::optional<std::string> older_folder_;
  Maps maps_;
  std::vector<std::uint32_t> known_programs_;
  std::vector<int> former_programs_;
};

}  // namespace splitnve::host::bpf
