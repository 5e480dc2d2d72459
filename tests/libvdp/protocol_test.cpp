// SPDX-License-Identifier: Apache-2.0
// docs/protocol.md tells the truth: its octets are what the codec reads and writes, its timers and flags are the
// code's.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "codec_support.hpp"
#include "splitnve/vdp/extensions.hpp"

namespace splitnve::vdp::test {
namespace {

std::string document() {
  std::ifstream file(SPLITNVE_PROTOCOL_DOCUMENT);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// Name and octets of every line in the document's blocks of VDPDUs; two blanks stand between them.
std::map<std::string, OctetString> examples() {
  std::map<std::string, OctetString> found;
  std::stringstream lines(document());
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("```")) {
      inside = line == "```vdpdu";
      continue;
    }
    if (inside) found[line.substr(0, line.find("  "))] = from_hex(line.substr(line.find("  ")));
  }
  return found;
}

TEST(ProtocolDocument, EveryExampleIsReadAndWrittenAsItStands) {
  const auto all = examples();
  EXPECT_EQ(all.size(), 17u);
  for (const auto& [name, octets] : all) {
    SCOPED_TRACE(name);
    const auto read = read_vdpdu(octets);
    ASSERT_TRUE(read) << read.error().cause << " at " << read.error().offset;
    EXPECT_EQ(write_vdpdu(*read), octets);
    ASSERT_EQ(read->tlvs.size(), 1u);
    if (const auto* raw = std::get_if<RawTlv>(&read->tlvs[0])) {
      const auto extension = decode_extension({raw->type, raw->value, 0});
      EXPECT_TRUE(extension && extension->has_value()) << "neither an association nor one of our TLVs";
    }
  }
}

TEST(ProtocolDocument, TheExamplesAreWhatTheirNamesSay) {
  const auto all = examples();
  const auto association = [&](const char* name) {
    return std::get<CopiedAssociation>(read_vdpdu(all.at(name))->tlvs.at(0));
  };
  EXPECT_EQ(association("associate, IPv4 prefix").entries.at(0).ip, *IpPrefix::from_string("192.0.2.0/24"));
  EXPECT_EQ(association("associate, MAC and IPv6").entries.at(0).ip, *IpPrefix::from_string("2001:db8::7"));
  EXPECT_EQ(ResponseStatus::from_octet(association("refused, code 5 KEEP HARD").status),
            (ResponseStatus{Code::kInvalidAddress, true, true}));
  EXPECT_EQ(association("success, VID assigned").entries.at(0).vid, Vid(1007));
  EXPECT_TRUE(association("de-associate the whole VSI").entries.empty());
  const auto raw = std::get<RawTlv>(read_vdpdu(all.at("capabilities alone"))->tlvs.at(0));
  const auto shown = std::get<Capabilities>(**decode_extension({raw.type, raw.value, 0}));
  EXPECT_EQ(shown.flags, Flags(0x19c));
  EXPECT_FALSE(shown.has_timers());
  const auto nnve = std::get<RawTlv>(read_vdpdu(all.at("capabilities of an nNVE"))->tlvs.at(0));
  const auto second = std::get<Capabilities>(**decode_extension({nnve.type, nnve.value, 0}));
  EXPECT_EQ(second.timers, (LocalTimers{3, 8, 20, 20, true}));
  EXPECT_EQ(second.vids, VidSpans({{Vid(100), Vid(199)}}));
}

TEST(ProtocolDocument, EveryFlagAndFormatStandsInIt) {
  const std::string text = document();
  for (const Flag flag : kAllFlags) {
    char row[64];
    std::snprintf(row, sizeof row, "| %04x | %s", static_cast<unsigned>(flag), to_string(flag));
    EXPECT_NE(text.find(row), std::string::npos) << row;
  }
  for (unsigned code = 1; code <= 8; ++code) {
    char row[8];
    std::snprintf(row, sizeof row, "\n| %02x ", code);
    const std::size_t at = text.find(row);
    ASSERT_NE(at, std::string::npos) << row;
    const std::string line = text.substr(at + 1, text.find('\n', at + 1) - at - 1);
    EXPECT_TRUE(
        line.ends_with("| " + std::to_string(entry_octets(*filter_format(static_cast<std::uint8_t>(code)))) + " |"))
        << line;
  }
}

}  // namespace
}  // namespace splitnve::vdp::test
