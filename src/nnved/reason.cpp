// SPDX-License-Identifier: Apache-2.0
#include "nnved/reason.hpp"

#include "splitnve/vdp/extensions.hpp"

namespace splitnve::nnved {
namespace {

using vdp::Code;

// What stations act on has these numbers for good.
static_assert(static_cast<std::uint16_t>(Reason::kSuperseded) == vdp::Cause::kSuperseded);
static_assert(static_cast<std::uint16_t>(Reason::kAdminDown) == vdp::Cause::kAdminDown);
static_assert(static_cast<std::uint16_t>(Reason::kDraining) == vdp::Cause::kDraining);

constexpr bool kHard = true, kSoft = false;

constexpr ReasonInfo kNoReason{Code::kSuccess, kSoft, "none", ""};
// HARD goes with code 5 and with policy, never with 2 or 3 (S4). What another TSI holds now may be free later, but the
// station must change something first, so it is HARD too.
constexpr ReasonInfo kUnknownVn{Code::kInvalidAddress, kHard, "unknown_vn", "the VN is not registered here"};
constexpr ReasonInfo kGroupIdTooLarge{Code::kInvalidAddress, kHard, "group_id_too_large",
                                      "the GroupID is no VN ID: it needs more than 24 bits"};
constexpr ReasonInfo kNoVnForEntry{Code::kInvalidAddress, kHard, "no_vn",
                                   "no GroupID, and neither the VSI type nor the VID stands for a VN"};
constexpr ReasonInfo kVidNotAssignable{Code::kInvalidAddress, kHard, "vid_not_assignable",
                                       "the VID is reserved or outside the port's range"};
constexpr ReasonInfo kVidTaken{Code::kInvalidAddress, kHard, "vid_taken", "the VID belongs to another VN"};
constexpr ReasonInfo kOtherVid{Code::kInvalidAddress, kHard, "other_vid", "the VN has another VID on this port"};
constexpr ReasonInfo kBadMac{Code::kInvalidAddress, kHard, "bad_mac", "the MAC address is zero or a group address"};
constexpr ReasonInfo kReservedMac{Code::kInvalidAddress, kHard, "reserved_mac",
                                  "the MAC address is that of one of our ports"};
constexpr ReasonInfo kDuplicateMac{Code::kInvalidAddress, kHard, "duplicate_mac",
                                   "another VSI has this MAC address in the VN"};
constexpr ReasonInfo kBadIp{Code::kInvalidAddress, kHard, "bad_ip", "the IP address is none that a VM may send from"};
constexpr ReasonInfo kIpWithoutMac{Code::kInvalidAddress, kHard, "ip_without_mac",
                                   "an IP without MAC needs a VSI with exactly one MAC in the VN"};
constexpr ReasonInfo kAuthorityRefused{Code::kInvalidAddress, kHard, "authority_refused",
                                       "the authority names another owner of the address"};
constexpr ReasonInfo kVnNotAdmitted{Code::kOther, kHard, "vn_not_admitted", "the VN may not be joined on this port"};
constexpr ReasonInfo kMacRequired{Code::kOther, kHard, "mac_required",
                                  "entries without MAC address are allowed on legacy ports only"};
constexpr ReasonInfo kSuperseded{Code::kOther, kSoft, "superseded", "the VSI has moved to another station or port"};
constexpr ReasonInfo kStationMoving{Code::kOther, kSoft, "station_moving",
                                    "the station's old place is asked whether it is still there"};
constexpr ReasonInfo kActiveElsewhere{Code::kOther, kSoft, "active_elsewhere",
                                      "the VSI is active at another place; no migration was signalled"};
constexpr ReasonInfo kPreAssociateOnActive{Code::kOther, kSoft, "pre_associate_on_active",
                                           "the entry is active, and the station cannot deactivate"};
constexpr ReasonInfo kCancelled{Code::kOther, kSoft, "cancelled", "a De-Associate overtook the command"};
constexpr ReasonInfo kRemovedByOperator{Code::kOther, kSoft, "removed_by_operator", "removed by the operator"};
constexpr ReasonInfo kLinkDown{Code::kOther, kSoft, "link_down", "the port's link is down"};
constexpr ReasonInfo kAdminDown{Code::kOther, kSoft, "administratively_down", "taken out of service by the operator"};
constexpr ReasonInfo kDraining{Code::kOther, kSoft, "draining", "the switch is being drained"};
constexpr ReasonInfo kTimersRefused{Code::kOther, kSoft, "timers_refused",
                                    "the station's EVB timers are beyond what the port allows"};
constexpr ReasonInfo kRecovering{Code::kInsufficientResources, kSoft, "recovering",
                                 "the store was lost: no new VID before all stations have spoken"};
constexpr ReasonInfo kVidPoolEmpty{Code::kInsufficientResources, kSoft, "vid_pool_empty",
                                   "no VID is free on this segment"};
constexpr ReasonInfo kVidLimit{Code::kInsufficientResources, kSoft, "vid_limit",
                               "the VN has as many VIDs on the port as one VN may"};
constexpr ReasonInfo kVidOverlap{Code::kInsufficientResources, kSoft, "vid_overlap",
                                 "another nNVE on this segment may give out the same VIDs"};
constexpr ReasonInfo kNotDirect{Code::kInsufficientResources, kSoft, "not_direct",
                                "the port is declared direct, and is not"};
constexpr ReasonInfo kListening{Code::kInsufficientResources, kSoft, "listening",
                                "the switch has just started: it listens for other nNVEs first"};
constexpr ReasonInfo kTableFull{Code::kInsufficientResources, kSoft, "table_full", "the TSI table is full"};
constexpr ReasonInfo kStationLimit{Code::kInsufficientResources, kSoft, "station_limit",
                                   "the station has as many TSIs as one station may"};
constexpr ReasonInfo kAddressLimit{Code::kInsufficientResources, kSoft, "address_limit",
                                   "the TSI has as many addresses as one TSI may"};
constexpr ReasonInfo kIpLimit{Code::kInsufficientResources, kSoft, "ip_limit",
                              "the TSI, or the switch, has as many IP addresses as it may"};
constexpr ReasonInfo kTsisPresent{Code::kOther, kSoft, "tsis_present",
                                  "it has TSIs in the VN: disconnect with --all, or end them"};
constexpr ReasonInfo kConnectLimit{Code::kInsufficientResources, kSoft, "connect_limit",
                                   "the station has connected as many VNs as one station may"};
constexpr ReasonInfo kVirtualRouterMac{Code::kInvalidAddress, kHard, "virtual_router_mac",
                                       "the MAC address is one of virtual routers"};
constexpr ReasonInfo kRemoteAddress{Code::kInvalidAddress, kHard, "remote_address",
                                    "the configuration places this MAC address behind another nNVE"};
constexpr ReasonInfo kDuplicateIp{Code::kInvalidAddress, kHard, "duplicate_ip",
                                  "another VSI has this IP address in the VN"};
constexpr ReasonInfo kReservedIp{Code::kInvalidAddress, kHard, "reserved_ip", "the VN reserves this IP address"};
constexpr ReasonInfo kWidePrefix{Code::kInvalidAddress, kHard, "wide_prefix",
                                 "the IP prefix is wider than a TSI may claim in the VN"};
constexpr ReasonInfo kTakeoverPolicy{Code::kOther, kSoft, "takeover_policy",
                                     "the VSI may not be taken over from its place to this one"};
constexpr ReasonInfo kTakeoverContested{Code::kOther, kSoft, "takeover_contested",
                                        "taken over too often within a minute: it stays where it is"};
constexpr ReasonInfo kPlaceLimit{Code::kInsufficientResources, kSoft, "place_limit",
                                 "the VSI has the address at as many places as one may"};
constexpr ReasonInfo kPortShare{Code::kInsufficientResources, kSoft, "port_share",
                                "the port has its share; the rest is kept for the others"};
constexpr ReasonInfo kVsiVnLimit{Code::kInsufficientResources, kSoft, "vsi_vn_limit",
                                 "the VSI is in as many VNs as one VSI may at a station"};
constexpr ReasonInfo kFloodLimit{Code::kInsufficientResources, kSoft, "flood_limit",
                                 "the VN is active on as many ports as its flood list can hold"};
constexpr ReasonInfo kDatapathFailed{Code::kInsufficientResources, kSoft, "datapath_failed",
                                     "the datapath could not be programmed"};
constexpr ReasonInfo kStoreFailed{Code::kInsufficientResources, kSoft, "store_failed",
                                  "the state store could not be written"};
constexpr ReasonInfo kAuthorityUnreachable{Code::kManagerUnreachable, kSoft, "authority_unreachable",
                                           "the authority did not take the address"};
constexpr ReasonInfo kDeadline{Code::kManagerUnreachable, kSoft, "deadline",
                               "no decision within the decision deadline"};

}  // namespace

const ReasonInfo& info(Reason reason) {
  switch (reason) {
    case Reason::kNone: return kNoReason;
    case Reason::kUnknownVn: return kUnknownVn;
    case Reason::kGroupIdTooLarge: return kGroupIdTooLarge;
    case Reason::kNoVnForEntry: return kNoVnForEntry;
    case Reason::kVidNotAssignable: return kVidNotAssignable;
    case Reason::kVidTaken: return kVidTaken;
    case Reason::kOtherVid: return kOtherVid;
    case Reason::kBadMac: return kBadMac;
    case Reason::kReservedMac: return kReservedMac;
    case Reason::kDuplicateMac: return kDuplicateMac;
    case Reason::kBadIp: return kBadIp;
    case Reason::kIpWithoutMac: return kIpWithoutMac;
    case Reason::kAuthorityRefused: return kAuthorityRefused;
    case Reason::kVnNotAdmitted: return kVnNotAdmitted;
    case Reason::kMacRequired: return kMacRequired;
    case Reason::kSuperseded: return kSuperseded;
    case Reason::kStationMoving: return kStationMoving;
    case Reason::kActiveElsewhere: return kActiveElsewhere;
    case Reason::kPreAssociateOnActive: return kPreAssociateOnActive;
    case Reason::kCancelled: return kCancelled;
    case Reason::kRemovedByOperator: return kRemovedByOperator;
    case Reason::kLinkDown: return kLinkDown;
    case Reason::kAdminDown: return kAdminDown;
    case Reason::kDraining: return kDraining;
    case Reason::kTimersRefused: return kTimersRefused;
    case Reason::kVidPoolEmpty: return kVidPoolEmpty;
    case Reason::kRecovering: return kRecovering;
    case Reason::kTableFull: return kTableFull;
    case Reason::kStationLimit: return kStationLimit;
    case Reason::kAddressLimit: return kAddressLimit;
    case Reason::kIpLimit: return kIpLimit;
    case Reason::kFloodLimit: return kFloodLimit;
    case Reason::kDatapathFailed: return kDatapathFailed;
    case Reason::kStoreFailed: return kStoreFailed;
    case Reason::kAuthorityUnreachable: return kAuthorityUnreachable;
    case Reason::kDeadline: return kDeadline;
    case Reason::kVidLimit: return kVidLimit;
    case Reason::kTsisPresent: return kTsisPresent;
    case Reason::kConnectLimit: return kConnectLimit;
    case Reason::kVidOverlap: return kVidOverlap;
    case Reason::kNotDirect: return kNotDirect;
    case Reason::kListening: return kListening;
    case Reason::kVirtualRouterMac: return kVirtualRouterMac;
    case Reason::kRemoteAddress: return kRemoteAddress;
    case Reason::kDuplicateIp: return kDuplicateIp;
    case Reason::kReservedIp: return kReservedIp;
    case Reason::kWidePrefix: return kWidePrefix;
    case Reason::kTakeoverPolicy: return kTakeoverPolicy;
    case Reason::kTakeoverContested: return kTakeoverContested;
    case Reason::kPlaceLimit: return kPlaceLimit;
    case Reason::kPortShare: return kPortShare;
    case Reason::kVsiVnLimit: return kVsiVnLimit;
  }
  return kNoReason;
}

std::string words(Reason reason, const std::string& detail) {
  const std::string text = info(reason).text;
  return detail.empty() ? text : text + ": " + detail;
}

}  // namespace splitnve::nnved
