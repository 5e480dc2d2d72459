// SPDX-License-Identifier: Apache-2.0
// Octets as a start state and a sequence of operations on two agents and the link between them (pair.hpp).
#include <cstddef>
#include <cstdint>

#include "pair.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  splitnve::fuzz::Pair pair(splitnve::Octets(data, size));
  pair.run();
  return 0;
}
