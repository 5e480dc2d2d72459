// SPDX-License-Identifier: Apache-2.0
// codec_instructions encode|decode ROUNDS: for an instruction counter; codec_instructions.sh takes the difference of
// two counts, so that start-up does not matter.
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "codec_work.hpp"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::string_view what = argv[1];
  const long rounds = std::atol(argv[2]);
  splitnve::bench::CodecWork work;
  unsigned long sum = 0;
  if (what == "encode") {
    for (long n = 0; n < rounds; ++n) sum += work.encode().size();
  } else {
    for (long n = 0; n < rounds; ++n) sum += work.decode();
  }
  std::printf("%lu\n", sum);
  return rounds > 0 && sum == 0 ? 1 : 0;
}
