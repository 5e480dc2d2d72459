// SPDX-License-Identifier: Apache-2.0
// agent_instructions TSIS: associates, looks up, renews and removes so many, for an instruction counter. Under
// callgrind each of the four is a dump of its own, named in the dump (agent_instructions.sh reads them).
#include <cstdio>
#include <cstdlib>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else  // package valgrind: without it nothing can be counted, but it builds
#define CALLGRIND_ZERO_STATS
#define CALLGRIND_DUMP_STATS_AT(name)
#endif

#include "agent_pair.hpp"

int main(int argc, char** argv) {
  const auto tsis = static_cast<std::uint32_t>(argc == 2 ? std::strtoul(argv[1], nullptr, 10) : 0);
  if (tsis == 0) return 2;
  splitnve::bench::AgentPair agents;
  bool right = true;
  const auto check = [&](const char* what, std::uint32_t done) {
    std::printf("%s %u\n", what, done);
    right = right && done >= tsis - tsis / 20 && done <= tsis + tsis / 2;
  };
  CALLGRIND_ZERO_STATS;
  const auto associated = agents.associate(tsis);
  CALLGRIND_DUMP_STATS_AT("associate");
  check("associate", associated);
  CALLGRIND_ZERO_STATS;
  const auto found = agents.lookup(tsis);
  CALLGRIND_DUMP_STATS_AT("lookup");
  check("lookup", found);
  CALLGRIND_ZERO_STATS;
  const auto renewed = agents.keepalive(tsis);
  CALLGRIND_DUMP_STATS_AT("keepalive");
  check("keepalive", renewed);
  CALLGRIND_ZERO_STATS;
  const auto removed = agents.removal(tsis);
  CALLGRIND_DUMP_STATS_AT("removal");
  check("removal", removed);
  return right ? 0 : 1;
}
