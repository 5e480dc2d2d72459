// SPDX-License-Identifier: Apache-2.0
// Pins of one layout carried to the next by copy (S34). The programs of the old layout forward over the old maps until
// each port has the new program over the new maps, which are complete by then:
//
//   load: new maps -> copy every row through the steps -> attach new programs, port by port -> remove the old pins
//
// A crash before the end leaves the old pins whole, and the next start copies again. Frames that the old programs count
// between copy and replacement are missing in the counters.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "splitnve/base/bytes.hpp"
#include "splitnve/base/result.hpp"

namespace splitnve::host::bpf {

/// A row as the kernel has it: of a per-CPU map, the value holds all CPUs, each padded to eight octets.
struct PinnedRow {
  OctetString key;
  OctetString value;
};
/// A row of the named map in the next layout; nullopt: the next layout has no such row.
using Step = std::function<std::optional<PinnedRow>(const std::string& map, PinnedRow row)>;

/// The steps from a layout to that of this build, one per layout between.
std::span<const Step> steps_from(unsigned layout);

/// `<root>/v<layout>`.
std::string layout_folder(const std::string& root, unsigned layout);
/// The layouts that have a folder `v<n>` below a pin root.
std::vector<unsigned> layouts_in(const std::string& root);
/// The oldest one below `layout`: of two, the older is whole and the younger a copy that was not finished.
std::optional<unsigned> older_layout(const std::string& root, unsigned layout);

/// Copies every row of each map that is pinned under one name in both folders. Error: a map cannot be read, or a row
/// does not fit its new map; nothing of the old ones is changed.
Result<void> copy_pins(const std::string& from, const std::string& to, std::span<const Step> steps);
/// Removes a folder of pins.
Result<void> remove_pins(const std::string& folder);

}  // namespace splitnve::host::bpf
