// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

namespace splitnve::fuzz {

/// Loads from memory so far of all that is compiled with -fsanitize-coverage=trace-loads, which is what work is
/// measured by: a processor's speed and what else it does change nothing. 0 in other builds.
extern std::uint64_t loads;

}  // namespace splitnve::fuzz
