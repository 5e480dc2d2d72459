// SPDX-License-Identifier: Apache-2.0
#include "loads.hpp"

namespace splitnve::fuzz {

std::uint64_t loads = 0;

}  // namespace splitnve::fuzz

// NOLINTBEGIN(bugprone-reserved-identifier): the names are the compiler's
extern "C" {
#define SPLITNVE_LOADS(octets)                                                        \
  __attribute__((no_sanitize("all"))) void __sanitizer_cov_load##octets(const void*); \
  __attribute__((no_sanitize("all"))) void __sanitizer_cov_load##octets(const void*) { ++splitnve::fuzz::loads; }
SPLITNVE_LOADS(1)
SPLITNVE_LOADS(2)
SPLITNVE_LOADS(4)
SPLITNVE_LOADS(8)
SPLITNVE_LOADS(16)
#undef SPLITNVE_LOADS
}
// NOLINTEND(bugprone-reserved-identifier)
