// SPDX-License-Identifier: Apache-2.0
// The codec against frames that lldpad and a bridge exchanged, each explained in the text file beside its capture.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "../support/capture.hpp"
#include "codec_support.hpp"
#include "splitnve/vdp/codec.hpp"

namespace splitnve::vdp::test {
namespace {

constexpr std::size_t kEthernetAndEcpHeader = 14 + 4;

struct CapturedVdpdu {
  std::string where;        // capture and frame number
  OctetString octets;       // with the padding, if any
  std::string explanation;  // from "MGR[" on
};

bool is_vdp_request(const OctetString& frame) {
  return splitnve::test::has_ether_type(frame, 0x8940) && frame.size() >= kEthernetAndEcpHeader && frame[14] == 0x10 &&
         frame[15] == 0x01;
}

std::vector<CapturedVdpdu> captured_vdpdus() {
  std::vector<CapturedVdpdu> out;
  for (const auto& file : splitnve::test::capture_files()) {
    std::ifstream text(std::filesystem::path(file).replace_extension(".explain.txt"));
    std::size_t number = 0;
    for (const OctetString& frame : splitnve::test::read_capture(file)) {
      ++number;
      std::string line;
      EXPECT_TRUE(std::getline(text, line)) << file << " has more frames than its explanation has lines";
      if (!is_vdp_request(frame)) continue;
      EXPECT_NE(line.find("MGR["), std::string::npos) << line;
      out.push_back({file.filename().string() + " frame " + std::to_string(number),
                     OctetString(frame.begin() + kEthernetAndEcpHeader, frame.end()),
                     line.substr(std::min(line.find("MGR["), line.size()))});
    }
  }
  return out;
}

// --- a decoded VDPDU in the words of the explanations ---

std::string hex(Octets octets) {
  std::string text;
  for (const std::uint8_t octet : octets) {
    text += "0123456789abcdef"[octet >> 4];
    text += "0123456789abcdef"[octet & 0x0F];
  }
  return text;
}

std::string explain(const ManagerId& manager) {
  const auto end = std::find(manager.octets.begin(), manager.octets.end(), 0);
  const bool text = std::all_of(manager.octets.begin(), end, [](std::uint8_t c) { return c >= 0x20 && c < 0x7F; });
  return "MGR[" + (text ? std::string(manager.octets.begin(), end) : hex(manager.octets)) + "]";
}

std::string explain_status(const CopiedAssociation& a) {
  if ((a.status & kStatusResponse) == 0) {
    return std::string("req") + ((a.status & kStatusSuspended) != 0 ? "+S" : "") +
           ((a.status & kStatusMigrating) != 0 ? "+M" : "");
  }
  static const char* const kCodes[] = {"success",        "invalid-format", "insufficient-resources",
                                       "no-VSI-manager", "other-failure",  "invalid-VID/GroupID/MAC"};
  const ResponseStatus status = ResponseStatus::from_octet(a.status);
  const auto code = static_cast<std::size_t>(status.code);
  return std::string("ACK") + (status.keep ? "+KEEP" : "") + (status.hard ? "+HARD" : "") + " " +
         (code < std::size(kCodes) ? kCodes[code] : "err" + std::to_string(code));
}

std::string explain(FilterFormat format, const FilterEntry& entry) {
  std::string text = " {";
  if (has_group(format)) text += "gid=" + std::to_string(entry.group.value()) + " ";
  if (has_mac(format)) text += "mac=" + entry.mac.to_string() + " ";
  text += "vid=" + std::to_string(entry.vid.value());
  if (entry.ps || entry.pcp != 0) text += " PS=" + std::to_string(entry.ps) + " PCP=" + std::to_string(entry.pcp);
  return text + "}";
}

std::string explain(const CopiedAssociation& a) {
  static const char* const kCommands[] = {"", "Pre-Assoc", "Pre-Assoc-RR", "Assoc", "De-Assoc"};
  static const char* const kFormats[] = {"", "VID", "MAC/VID", "GroupID/VID", "GroupID/MAC/VID"};
  std::string text = kCommands[static_cast<std::size_t>(a.command)];
  text += "[" + explain_status(a) + " type=" + std::to_string(a.type.id) + " v" + std::to_string(a.type.version);
  text += " id=" + std::to_string(a.vsi.format) + ":.." + hex(Octets(a.vsi.octets).last(4)) + " ";
  text += kFormats[static_cast<std::size_t>(a.format)];
  text += " x" + std::to_string(a.entries.size());
  for (const FilterEntry& entry : a.entries) text += explain(a.format, entry);
  return text + "]";
}

std::string explain(const RawTlv& tlv) {
  if (tlv.type != 127 || tlv.value.size() < 4) return "TLV" + std::to_string(tlv.type);
  const Octets value(tlv.value);
  return "ORG[" + hex(value.subspan(0, 1)) + "-" + hex(value.subspan(1, 1)) + "-" + hex(value.subspan(2, 1)) +
         " sub=" + hex(value.subspan(3, 1)) + " " + hex(value.subspan(4)) + "]";
}

std::string explain(const CopiedVdpdu& vdpdu) {
  std::string text = explain(vdpdu.manager);
  for (const CopiedTlv& tlv : vdpdu.tlvs) text += " " + std::visit([](const auto& t) { return explain(t); }, tlv);
  return text;
}

bool has_end(const CapturedVdpdu& captured) { return captured.explanation.ends_with(" END"); }

TEST(CodecCapture, TheCapturesHoldRequestsAndResponsesOfEveryCommandAndFormat) {
  std::set<TlvType> commands;
  std::set<FilterFormat> formats;
  std::set<std::uint8_t> statuses;
  for (const auto& captured : captured_vdpdus()) {
    const auto vdpdu = read_vdpdu(captured.octets);
    ASSERT_TRUE(vdpdu) << captured.where << ": " << vdpdu.error().cause;
    for (const CopiedTlv& tlv : vdpdu->tlvs) {
      const auto* association = std::get_if<CopiedAssociation>(&tlv);
      if (association == nullptr) continue;
      commands.insert(association->command);
      formats.insert(association->format);
      statuses.insert(association->status);
    }
  }
  EXPECT_EQ(commands.size(), 4u);
  EXPECT_EQ(formats.size(), 4u);
  EXPECT_THAT(statuses, testing::IsSupersetOf({0x00, 0x10, 0x20, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x52}));
}

TEST(CodecCapture, EveryFrameDecodesToWhatItsExplanationSays) {
  for (const auto& captured : captured_vdpdus()) {
    const auto vdpdu = read_vdpdu(captured.octets);
    ASSERT_TRUE(vdpdu) << captured.where << ": " << vdpdu.error().cause;
    EXPECT_EQ(explain(*vdpdu) + (has_end(captured) ? " END" : " (no END)"), captured.explanation) << captured.where;
  }
}

TEST(CodecCapture, EveryFrameIsWrittenAgainOctetForOctet) {
  for (const auto& captured : captured_vdpdus()) {
    const auto vdpdu = read_vdpdu(captured.octets);
    ASSERT_TRUE(vdpdu) << captured.where << ": " << vdpdu.error().cause;
    OctetString written = write_vdpdu(*vdpdu);
    if (!has_end(captured)) written.resize(written.size() - 2);  // lldpad sends no End
    ASSERT_LE(written.size(), captured.octets.size()) << captured.where;
    written.resize(captured.octets.size());  // the frame's padding
    EXPECT_EQ(written, captured.octets) << captured.where;
  }
}

/// Where a VDPDU may end: after the manager, after each TLV, and anywhere in or after the padding behind End.
std::set<std::size_t> legal_ends(const OctetString& octets) {
  std::set<std::size_t> ends;
  std::size_t at = 0;
  while (at + 2 <= octets.size()) {
    if (octets[at] == 0 && octets[at + 1] == 0) {
      for (std::size_t end = at + 2; end <= octets.size(); ++end) ends.insert(end);
      break;
    }
    at += 2 + (((octets[at] & 1u) << 8) | octets[at + 1]);
    ends.insert(at);
  }
  return ends;
}

TEST(CodecCapture, AFrameCutAnywhereIsRefusedAtTheCutOrEndsBetweenTlvs) {
  for (const auto& captured : captured_vdpdus()) {
    const auto whole = read_vdpdu(captured.octets);
    ASSERT_TRUE(whole) << captured.where;
    const auto ends = legal_ends(captured.octets);
    for (std::size_t cut = 0; cut < captured.octets.size(); ++cut) {
      SCOPED_TRACE(captured.where + " cut at " + std::to_string(cut));
      const OctetString prefix(captured.octets.begin(), captured.octets.begin() + static_cast<std::ptrdiff_t>(cut));
      const auto vdpdu = read_vdpdu(prefix);
      ASSERT_EQ(vdpdu.has_value(), ends.contains(cut));
      if (!vdpdu) {
        EXPECT_EQ(vdpdu.error().offset, cut) << vdpdu.error().cause;
        continue;
      }
      EXPECT_EQ(vdpdu->manager, whole->manager);
      ASSERT_LE(vdpdu->tlvs.size(), whole->tlvs.size());
      EXPECT_TRUE(std::equal(vdpdu->tlvs.begin(), vdpdu->tlvs.end(), whole->tlvs.begin()));
    }
  }
}

TEST(CodecCapture, TheBatchedResponseHoldsTwelveSuccessesWithAssignedVids) {
  const auto frames = splitnve::test::read_named_capture("36-batched-response");
  ASSERT_EQ(frames.size(), 26u);
  const auto vdpdu = read_vdpdu(Octets(frames[24]).subspan(kEthernetAndEcpHeader));
  ASSERT_TRUE(vdpdu) << vdpdu.error().cause;
  ASSERT_EQ(vdpdu->tlvs.size(), 12u);
  for (std::uint16_t i = 0; i < 12; ++i) {
    const auto* association = std::get_if<CopiedAssociation>(&vdpdu->tlvs[i]);
    ASSERT_NE(association, nullptr);
    EXPECT_EQ(association->status, 0x40);
    ASSERT_EQ(association->entries.size(), 1u);
    EXPECT_EQ(association->entries[0].vid, Vid(static_cast<std::uint16_t>(1000 + i)));
    EXPECT_EQ(association->entries[0].group, GroupId(70000u + i));
    EXPECT_EQ(association->entries[0].mac, MacAddress(std::uint64_t{0x02bb00000000} + (std::uint64_t{i} << 8)));
  }
}

TEST(CodecCapture, ForeignOrganizationalTlvsAreWalkedOver) {
  const auto frames = splitnve::test::read_named_capture("16-oui");
  const auto vdpdu = read_vdpdu(Octets(frames.at(0)).subspan(kEthernetAndEcpHeader));
  ASSERT_TRUE(vdpdu) << vdpdu.error().cause;
  ASSERT_EQ(vdpdu->tlvs.size(), 3u);
  EXPECT_TRUE(std::holds_alternative<CopiedAssociation>(vdpdu->tlvs[0]));
  for (std::size_t i = 1; i < 3; ++i) {
    ASSERT_TRUE(std::holds_alternative<RawTlv>(vdpdu->tlvs[i]));
    EXPECT_EQ(std::get<RawTlv>(vdpdu->tlvs[i]).type, 127);
  }
}

}  // namespace
}  // namespace splitnve::vdp::test
