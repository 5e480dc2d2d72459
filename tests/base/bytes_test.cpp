// SPDX-License-Identifier: Apache-2.0
#include "splitnve/base/bytes.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "splitnve/base/result.hpp"
#include "splitnve/base/time.hpp"

namespace splitnve {
namespace {

const OctetString kFifteen = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F};

TEST(BoundedReader, ReadsBigEndianIntegersInOrder) {
  BoundedReader reader(kFifteen, 100);
  std::uint8_t u8 = 0;
  std::uint16_t u16 = 0;
  std::uint32_t u32 = 0;
  std::uint64_t u64 = 0;
  ASSERT_TRUE(reader.u8(u8) && reader.u16(u16) && reader.u32(u32) && reader.u64(u64));
  EXPECT_EQ(u8, 0x01);
  EXPECT_EQ(u16, 0x0203);
  EXPECT_EQ(u32, 0x04050607u);
  EXPECT_EQ(u64, 0x08090A0B0C0D0E0Full);
  EXPECT_TRUE(reader.empty());
  EXPECT_FALSE(reader.failed());
  EXPECT_EQ(reader.offset(), 115u);
}

TEST(BoundedReader, LeavesOutputAndPlaceUntouchedWhenAReadDoesNotFit) {
  BoundedReader reader(Octets(kFifteen).first(3), 20);
  ASSERT_TRUE(reader.skip(2));
  std::uint16_t u16 = 0xBEEF;
  std::uint32_t u32 = 0xDEADBEEF;
  std::uint64_t u64 = 7;
  std::array<std::uint8_t, 2> array = {9, 9};
  Octets taken;
  EXPECT_FALSE(reader.u16(u16));
  EXPECT_FALSE(reader.u32(u32));
  EXPECT_FALSE(reader.u64(u64));
  EXPECT_FALSE(reader.array(array));
  EXPECT_FALSE(reader.take(2, taken));
  EXPECT_FALSE(reader.skip(2));
  EXPECT_TRUE(reader.failed());
  EXPECT_EQ(u16, 0xBEEF);
  EXPECT_EQ(u32, 0xDEADBEEF);
  EXPECT_EQ(u64, 7u);
  EXPECT_EQ(array, (std::array<std::uint8_t, 2>{9, 9}));
  EXPECT_TRUE(taken.empty());
  EXPECT_EQ(reader.remaining(), 1u);
  EXPECT_EQ(reader.error("truncated").value(), (DecodeError{"truncated", 22}));
  std::uint8_t last = 0;
  EXPECT_TRUE(reader.u8(last));
  EXPECT_EQ(last, 0x03);
}

TEST(BoundedReader, HandlesLengthsThatWouldOverflowAnAddition) {
  BoundedReader reader(kFifteen);
  Octets taken;
  ASSERT_TRUE(reader.skip(1));
  EXPECT_FALSE(reader.take(SIZE_MAX, taken));
  EXPECT_FALSE(reader.skip(SIZE_MAX));
  EXPECT_EQ(reader.remaining(), 14u);
}

TEST(BoundedReader, ReadsNothingFromNothing) {
  BoundedReader reader{Octets{}};
  std::uint8_t value = 5;
  EXPECT_TRUE(reader.empty());
  EXPECT_TRUE(reader.skip(0));
  EXPECT_FALSE(reader.u8(value));
  EXPECT_EQ(value, 5);
  EXPECT_TRUE(reader.rest().empty());
}

TEST(BoundedReader, KeepsASubReaderWithinItsPartAndStepsOverIt) {
  BoundedReader reader(kFifteen, 50);
  ASSERT_TRUE(reader.skip(2));
  BoundedReader child = reader.sub(3);
  EXPECT_EQ(child.remaining(), 3u);
  EXPECT_EQ(child.offset(), 52u);
  std::uint32_t sibling = 1;
  EXPECT_FALSE(child.u32(sibling)) << "that would read the sibling";
  EXPECT_EQ(child.rest().front(), 0x03);
  EXPECT_EQ(reader.offset(), 55u);
  EXPECT_FALSE(reader.failed()) << "the child's failure is its own";
  std::uint8_t next = 0;
  EXPECT_TRUE(reader.u8(next));
  EXPECT_EQ(next, 0x06);
}

TEST(BoundedReaderDeathTest, ASubReaderLongerThanItsParentIsOurOwnMistake) {
  BoundedReader reader(kFifteen);
  EXPECT_DEATH(reader.sub(16), "sub-reader longer than its parent");
}

TEST(BoundedWriter, WritesBigEndianIntegersAndOctets) {
  OctetString buffer(20, 0xEE);
  BoundedWriter writer(buffer);
  writer.u8(0x01);
  writer.u16(0x0203);
  writer.u32(0x04050607);
  writer.u64(0x08090A0B0C0D0E0F);
  EXPECT_TRUE(std::ranges::equal(writer.written(), kFifteen));
  writer.octets(Octets(kFifteen).first(2));
  writer.octets({});
  writer.zeros(3);
  EXPECT_EQ(writer.size(), 20u);
  EXPECT_EQ(writer.room(), 0u);
  EXPECT_FALSE(writer.overflowed());
  EXPECT_EQ(OctetString(buffer.begin() + 15, buffer.end()), (OctetString{0x01, 0x02, 0, 0, 0}));
}

TEST(BoundedWriter, WritesNothingThatDoesNotFitAndNothingAfterIt) {
  OctetString buffer(8, 0xEE);
  BoundedWriter writer(MutableOctets(buffer).first(3));
  writer.u16(0x0102);
  writer.u16(0x0304);
  EXPECT_TRUE(writer.overflowed());
  writer.u8(0x05);
  writer.zeros(1);
  writer.octets(Octets(kFifteen).first(1));
  EXPECT_EQ(writer.size(), 2u);
  EXPECT_EQ(writer.room(), 1u);
  EXPECT_EQ(buffer, (OctetString{0x01, 0x02, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE}));
}

TEST(BoundedWriter, ReadsBackWhatItWrote) {
  std::mt19937_64 random(1);
  for (unsigned round = 0; round < 1000; ++round) {
    const std::uint64_t value = random();
    OctetString buffer(15);
    BoundedWriter writer(buffer);
    writer.u64(value);
    writer.u32(static_cast<std::uint32_t>(value));
    writer.u16(static_cast<std::uint16_t>(value));
    writer.u8(static_cast<std::uint8_t>(value));
    BoundedReader reader(buffer);
    std::uint64_t u64 = 0;
    std::uint32_t u32 = 0;
    std::uint16_t u16 = 0;
    std::uint8_t u8 = 0;
    ASSERT_TRUE(reader.u64(u64) && reader.u32(u32) && reader.u16(u16) && reader.u8(u8));
    ASSERT_EQ(u64, value);
    ASSERT_EQ(u32, static_cast<std::uint32_t>(value));
    ASSERT_EQ(u16, static_cast<std::uint16_t>(value));
    ASSERT_EQ(u8, static_cast<std::uint8_t>(value));
  }
}

TEST(Error, ReadsAsWhereWhatAndRemedy) {
  EXPECT_EQ((Error{"no such file", "tnved.jsonc", "create it"}).to_string(), "tnved.jsonc: no such file (create it)");
  EXPECT_EQ((Error{"no such file", "", ""}).to_string(), "no such file");
}

TEST(DecodeError, ComparesCausesByTheirText) {
  const std::string copy = "truncated";
  EXPECT_EQ((DecodeError{"truncated", 3}), (DecodeError{copy.c_str(), 3}));
  EXPECT_NE((DecodeError{"truncated", 3}), (DecodeError{"truncated", 4}));
  EXPECT_NE((DecodeError{"truncated", 3}), (DecodeError{"tagged", 3}));
}

TEST(Time, EarliestTakesNeverAsLater) {
  const Instant soon{std::chrono::seconds(1)};
  const Instant late{std::chrono::seconds(2)};
  EXPECT_EQ(earliest(soon, late), soon);
  EXPECT_EQ(earliest(late, soon), soon);
  EXPECT_EQ(earliest(std::nullopt, late), late);
  EXPECT_EQ(earliest(soon, std::nullopt), soon);
  EXPECT_FALSE(earliest(std::nullopt, std::nullopt).has_value());
}

}  // namespace
}  // namespace splitnve
