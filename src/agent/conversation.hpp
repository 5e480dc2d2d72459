// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "agent/authentication.hpp"
#include "splitnve/ecp/session.hpp"
#include "splitnve/vdp/exchange.hpp"

namespace splitnve::agent {

/// What either agent shows of its conversation with a peer.
struct ConversationView {
  ConversationView(const ecp::Session& session, const vdp::Exchange& exchange, const Authentication& with);

  Instant last_heard;
  vdp::Exchange::Standing standing;  ///< what the peer has shown, and what was given up towards it
  Authentication::View authentication;
  std::uint64_t duplicates = 0, stale = 0, sent = 0, retransmitted = 0, failed = 0;  ///< ECPDUs
};

}  // namespace splitnve::agent
