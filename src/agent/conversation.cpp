// SPDX-License-Identifier: Apache-2.0
#include "agent/conversation.hpp"

namespace splitnve::agent {

ConversationView::ConversationView(const ecp::Session& session, const vdp::Exchange& exchange,
                                   const Authentication& with)
    : last_heard(session.last_heard()),
      standing(exchange.standing(vdp::kAble)),
      authentication(with.view()),
      duplicates(session.receiver().stats().duplicates),
      stale(session.receiver().stats().stale),
      sent(session.transmitter().stats().sent),
      retransmitted(session.transmitter().stats().retransmitted),
      failed(session.transmitter().stats().failed) {}

}  // namespace splitnve::agent
