// SPDX-License-Identifier: Apache-2.0
#include "tnved/nnves_heard.hpp"

#include <gtest/gtest.h>

namespace splitnve::tnved {
namespace {

using namespace std::chrono_literals;
constexpr Instant kStart{1h};
constexpr MacAddress kOne{0x020000000201ull}, kTwo{0x020000000202ull};

vdp::Capabilities shown(std::uint8_t system, std::uint16_t first, std::uint16_t last, std::uint64_t segment = 0) {
  vdp::Capabilities out;
  out.version = 2;
  out.role = vdp::Role::kBridge;
  out.system[0] = system;
  out.segment = segment;
  out.vids.push_back({Vid(first), Vid(last)});
  return out;
}

TEST(NnvesHeard, TwoWithTheSameVidsAreAConflictWhileBothAreHeard) {
  NnvesHeard heard;
  heard.handle(kOne, shown(1, 100, 199), 10s, kStart);
  EXPECT_EQ(heard.conflict(kStart), "");
  heard.handle(kTwo, shown(2, 150, 250), 10s, kStart + 5s);
  const std::string text = heard.conflict(kStart + 5s);
  EXPECT_NE(text.find(kOne.to_string()), std::string::npos) << text;
  EXPECT_NE(text.find(kTwo.to_string()), std::string::npos);
  EXPECT_EQ(heard.conflict(kStart + kHeardIntervals * 10s), "");
}

TEST(NnvesHeard, DisjointVidsOrOneSharedPoolAreNone) {
  NnvesHeard heard;
  heard.handle(kOne, shown(1, 100, 199), 10s, kStart);
  heard.handle(kTwo, shown(2, 200, 299), 10s, kStart);
  EXPECT_EQ(heard.conflict(kStart), "");
  heard.handle(kTwo, shown(1, 100, 199, 7), 10s, kStart);
  EXPECT_NE(heard.conflict(kStart), "") << "two ports of one nNVE that share nothing";
  heard.handle(kOne, shown(1, 100, 199, 7), 10s, kStart);
  EXPECT_EQ(heard.conflict(kStart), "");
}

TEST(NnvesHeard, OneThatTellsNoVidsMayGiveOutAny) {
  NnvesHeard heard;
  auto old = shown(2, 200, 299);
  old.version = 1;
  heard.handle(kOne, shown(1, 100, 199), 10s, kStart);
  heard.handle(kTwo, old, 10s, kStart);
  EXPECT_NE(heard.conflict(kStart), "");
}

}  // namespace
}  // namespace splitnve::tnved
