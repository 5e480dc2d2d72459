// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "splitnve/vdp/codec.hpp"
#include "splitnve/vdp/extensions.hpp"

namespace splitnve::nnved {

/// Why a command was refused, or why a row left its state. One octet in a TSI row; the words stand in one table. The
/// numbers go to stations as causes: new ones are appended.
enum class Reason : std::uint8_t {
  kNone,
  // --- identity (code 5) ---
  kUnknownVn,
  kGroupIdTooLarge,
  kNoVnForEntry,
  kVidNotAssignable,
  kVidTaken,
  kOtherVid,
  kBadMac,
  kReservedMac,
  kDuplicateMac,
  kAuthorityRefused,
  // --- policy and state (code 4) ---
  kVnNotAdmitted,
  kMacRequired,
  kSuperseded,
  kActiveElsewhere,
  kPreAssociateOnActive,
  kCancelled,
  kRemovedByOperator,
  kLinkDown,
  kAdminDown,
  kDraining,
  kTimersRefused,
  // --- resources (code 2) ---
  kVidPoolEmpty,
  kRecovering,
  kTableFull,
  kStationLimit,
  kAddressLimit,
  kFloodLimit,
  kDatapathFailed,
  kStoreFailed,
  // --- authority (code 3) ---
  kAuthorityUnreachable,
  kDeadline,
  // --- appended ---
  kVidLimit,
  kBadIp,
  kIpWithoutMac,
  kIpLimit,
  kTsisPresent,
  kConnectLimit,
  kVidOverlap,
  kNotDirect,
  kListening,
  kVirtualRouterMac,
  kRemoteAddress,
  kDuplicateIp,
  kReservedIp,
  kWidePrefix,
  kTakeoverPolicy,
  kTakeoverContested,
  kPlaceLimit,
  kPortShare,
  kVsiVnLimit,
  kStationMoving,  ///< no refusal: the request waits for whether the station's old place answers (S37)
};

/// The status code of S4, whether HARD goes with it, a stable name for logs, and the words for people.
struct ReasonInfo {
  vdp::Code code;
  bool hard;
  const char* name;
  const char* text;
};
const ReasonInfo& info(Reason reason);
/// For people: the reason and what it was in this case.
std::string words(Reason reason, const std::string& detail);
/// For the station; views `text`.
inline vdp::ReasonText said(Reason reason, std::string_view text) { return {static_cast<std::uint16_t>(reason), text}; }

}  // namespace splitnve::nnved
