// SPDX-License-Identifier: Apache-2.0
// How nNVEs tell each other, and whoever listens, which VIDs they may give out (S12): capabilities alone in an ECP
// acknowledgement that acknowledges nothing. Nobody answers it, and who does not know it takes no notice.
#pragma once
#include <optional>

#include "splitnve/base/bytes.hpp"
#include "splitnve/ecp/header.hpp"
#include "splitnve/vdp/extensions.hpp"

namespace splitnve::agent {

/// Where announcements go beside the link's own group address: bridges pass it.
inline constexpr MacAddress kDefaultGroup{MacAddress::Bytes{0x03, 0x53, 0x4E, 0x00, 0x00, 0x01}};

/// The capabilities of a bridge in a frame, an announcement or not; `nullopt` if it holds none.
std::optional<vdp::Capabilities> bridge_capabilities(const ecp::Frame& frame);
/// Is it an announcement, and part of no conversation?
bool is_announcement(const ecp::Frame& frame);
/// The frame that announces `own` from `source` to `group`.
OctetString announcement(const vdp::Capabilities& own, const MacAddress& source, const MacAddress& group);

}  // namespace splitnve::agent
