// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace splitnve {

/// An error an operator may read: what failed, where, and what to do about it (may be empty).
struct Error {
  std::string what;
  std::string where;
  std::string remedy;

  /// One line: `where: what (remedy)`.
  std::string to_string() const {
    std::string line = where.empty() ? what : where + ": " + what;
    return remedy.empty() ? line : line + " (" + remedy + ")";
  }
};

/// Why octets from a peer were refused: a static cause and the offset of the first octet that was missing or wrong.
struct DecodeError {
  const char* cause = "";
  std::size_t offset = 0;
  friend bool operator==(const DecodeError& a, const DecodeError& b) {
    return a.offset == b.offset && std::string_view(a.cause) == b.cause;
  }
};

template <class T, class E = Error>
using Result = tl::expected<T, E>;
template <class T>
using Decoded = tl::expected<T, DecodeError>;
using tl::unexpected;

}  // namespace splitnve
