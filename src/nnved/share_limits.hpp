// SPDX-License-Identifier: Apache-2.0
// How much of everything one port, one station and one frame may take of nnved, each with its reason.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "splitnve/base/limits.hpp"

namespace splitnve::limits {

/// The memory of all requests and their unacknowledged answers. Beyond its port's share a station that already has
/// some waiting is held back by ECP.
inline constexpr std::uint64_t kWaitingOctetsMax = 32 * 1024 * 1024;
/// Requests for one VSI that wait for their turn, per port; more are answered code 2. A station needs two.
inline constexpr std::size_t kWaitingPerVsiAndPortMax = 64;
/// Rows that store and authority are told a second, for all ports, and how many of one port may be on their way.
inline constexpr std::uint32_t kChangesPerSecondMax = 500000;
inline constexpr std::uint64_t kWorksMax = 131072;
/// LLDP frames of a port that are looked at: a neighbour sends one in 30 s, and four at once when something changes.
inline constexpr unsigned kLldpFramesPerSecond = 4;
inline constexpr unsigned kLldpFramesBurst = 16;
/// Refusals of a port that are logged one by one; all are counted, and the last ones are kept to be shown.
inline constexpr unsigned kRefusalNoticesPerSecond = 10;
inline constexpr unsigned kRefusalNoticesBurst = 50;
/// Announcements are not signed: whoever makes them change all the time shall not fill the log and the audit file.
inline constexpr double kSegmentNoticesPerSecond = 0.2;
inline constexpr unsigned kSegmentNoticesBurst = 10;
inline constexpr std::size_t kRefusalsPerPort = 64;
/// What falls due at one time is done in pieces, so that frames are read meanwhile.
inline constexpr std::size_t kDeadlinesPerTurn = 256;
/// TSIs of a lost link that go in one turn.
inline constexpr std::size_t kRemovalsPerTurn = 64;
/// A port may take half of a table at most, and half of every table is divided into reserves of the ports, so that
/// one that has little always gets that (S39). This many rows of a small table are anybody's.
inline constexpr std::uint64_t kShareFloor = 16;
/// VNs of one VSI at one station: what a look-up walks at most.
inline constexpr std::size_t kVnsPerVsiMax = 64;
/// Places that may have one address of a VSI at once: a migration needs two.
inline constexpr std::uint32_t kPlacesPerAddressMax = 8;
/// Refused claims to an address of somebody else that are shown, per port, and for how long after the last one.
inline constexpr std::size_t kClaimsPerPortMax = 16;
inline constexpr Duration kClaimShown = std::chrono::minutes(10);
/// After so many takeovers within the window from places that had not said that they leave, an address stays (S6).
inline constexpr unsigned kContestedTakeoversMax = 5;
inline constexpr Duration kContestWindow = std::chrono::seconds(60);
/// How long a legacy station whose VSI has moved away is answered success before its VSI is ended by a De-Associate
/// (S6): its hypervisor takes the VM out of service by itself meanwhile.
inline constexpr Duration kLegacyLoserHold = std::chrono::seconds(60);
/// Addresses whose takeovers are counted.
inline constexpr std::size_t kContestedAddressesMax = 4096;

}  // namespace splitnve::limits
