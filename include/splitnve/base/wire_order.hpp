// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <bit>

namespace splitnve {

/// An integer of 1, 2, 4 or 8 octets between the order of the wire and this machine's.
template <class T>
constexpr T wire_order(T value) {
  if constexpr (std::endian::native == std::endian::big || sizeof(T) == 1) return value;
  if constexpr (sizeof(T) == 2) return static_cast<T>(__builtin_bswap16(value));
  if constexpr (sizeof(T) == 4) return static_cast<T>(__builtin_bswap32(value));
  if constexpr (sizeof(T) == 8) return static_cast<T>(__builtin_bswap64(value));
}

}  // namespace splitnve
