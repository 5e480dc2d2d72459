// SPDX-License-Identifier: Apache-2.0
// What a refusal says: to the station, to the log, and to who looks at the last ones.
#include "nnved/agent_impl.hpp"

namespace splitnve::nnved {

using Impl = Agent::Impl;

void Impl::refuse(Index peer, const vdp::Request& request, const Refused& refused, Instant now) {
  const ReasonInfo& why = info(refused.reason);
  const bool logged = note_refusal(peer, request.vsi, refused, now);
  const bool has_holder = std::holds_alternative<about::Holder>(refused.about);
  if (has_holder) note_claim(peer, request.vsi, refused, logged, now);
  const bool keep = keeps(peer, request.vsi, request.command, now);
  // Who has the address is for the operator; a stranger would only learn what to claim next.
  const std::string_view text = words_for_station(refused.reason, has_holder ? std::string_view() : refusal_text);
  peers[peer].bridge.respond(request.id, {why.code, keep, why.hard}, {}, said(refused.reason, text));
  touch(peer);
}

/// All are counted and the last of each port are kept; a port that has many fills neither the log nor our time.
bool Impl::note_refusal(Index peer, const VsiId& vsi, const Refused& refused, Instant now) {
  const Peer& from = peers[peer];
  Port& port = ports[from.port_index];
  const Reason reason = refused.reason;
  if (!refused.vn.is_null()) {
    if (const Index there = tsis.find(vsi, refused.vn, peer); there != kNoIndex) tsis[there].last_refusal = reason;
  } else {
    for (Index i = tsis.first_of_vsi(vsi, peer); i != kNoIndex; i = tsis[i].next_of_vsi) tsis[i].last_refusal = reason;
  }
  const bool logged = port.refusal_notices.take(now);
  const auto* text = std::get_if<std::string_view>(&refused.about);
  if (text != nullptr)
    refusal_text.assign(*text);
  else if (logged)
    refusal_text = described(peer, refused.about);
  else
    refusal_text.clear();
  if (port.refusals.capacity() == 0) port.refusals.set_capacity(limits::kRefusalsPerPort);
  port.refusals.push_back({now, from.station, vsi, refused.vn, reason, refusal_text});
  if (!logged) {
    ++port.refusals_unlogged;
    return false;
  }
  const ReasonInfo& why = info(reason);
  const std::uint64_t more = std::exchange(port.refusals_unlogged, 0);
  journal.notice("nnved.refused", agent::Notice::Level::kWarning,
                 "reason=" + std::string(why.name) + " code=" + std::to_string(static_cast<int>(why.code)) +
                     " port=" + config.ports[from.port_index].interface_name + " station=" + from.station.to_string() +
                     " vsi=" + vsi.to_string() + " vn=" + std::to_string(refused.vn.value()) + ": " +
                     words(reason, refusal_text) +
                     (more == 0 ? "" : " (and " + std::to_string(more) + " before it that were not logged)"));
  return true;
}

std::string Impl::described(Index peer, const about::Case& about) const {
  const std::uint32_t port_index = peers[peer].port_index;
  const std::string& port = config.ports[port_index].interface_name;
  struct Words {
    const Impl& impl;
    const Peer& peer;
    const std::string& port;
    std::string operator()(std::string_view text) const { return std::string(text); }
    std::string operator()(const about::Holder& held) const {
      return address_of(held) + " is held by " + impl.holder_of(held);
    }
    std::string operator()(const about::Share& share) const {
      return std::to_string(share.of->used(peer.port_index)) + " " + share.what + " of port " + port + ", at most " +
             std::to_string(share.of->share()) + " of one port, " + std::to_string(share.of->reserve()) +
             " kept for each other";
    }
    std::string operator()(const about::Most& most) const { return std::to_string(most.count) + most.of; }
    std::string operator()(const about::Ip& one) const { return one.ip.to_string(); }
    std::string operator()(const about::VidsOfPort&) const { return "VIDs of port " + port; }
    std::string operator()(const about::TimersOfStation&) const { return impl.timers_in_words(peer); }
  };
  return std::visit(Words{*this, peers[peer], port}, about);
}

std::string_view Impl::words_for_station(Reason reason, std::string_view detail) {
  if (detail.empty()) return info(reason).text;
  station_text.assign(info(reason).text).append(": ").append(detail);
  return station_text;
}

}  // namespace splitnve::nnved
