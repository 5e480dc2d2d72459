// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdio>
#include <cstdlib>
#include <source_location>

namespace splitnve {

/// Our own invariant: checked in every build. Never call it on what a peer, a file or a user sent.
inline void ensure(bool holds, const char* invariant, std::source_location at = std::source_location::current()) {
  if (holds) [[likely]]
    return;
  std::fprintf(stderr, "%s:%u: broken invariant: %s\n", at.file_name(), at.line(), invariant);
  std::abort();
}

}  // namespace splitnve
