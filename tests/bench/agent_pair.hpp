// SPDX-License-Identifier: Apache-2.0
// Both agents back to back in one process on a virtual clock, with back ends that say yes at once: what TSIs cost
// without kernel, sockets and store.
#pragma once
#include <cstdint>
#include <deque>
#include <utility>

#include "nnved/agent.hpp"
#include "nnved/embedded_authority.hpp"
#include "tnved/agent.hpp"

namespace splitnve::bench {

class AgentPair {
 public:
  AgentPair();

  // Each is about TSIs 0 .. count - 1 and returns how many it was done for.
  std::uint32_t associate(std::uint32_t count);
  std::uint32_t lookup(std::uint32_t count);
  /// One keep-alive interval.
  std::uint32_t keepalive(std::uint32_t count);
  std::uint32_t removal(std::uint32_t count);

 private:
  void tell(tnved::Verb verb, std::uint32_t n);
  void run_until(Instant end);
  void settle();
  bool exchange();
  template <class Agent>
  bool drain(Agent& agent, std::deque<OctetString>& wire);
  std::uint32_t nnved_tsis() const;

  Instant now_ = Instant(std::chrono::seconds(1000));
  nnved::EmbeddedAuthority authority_;
  tnved::Agent tnved_;
  nnved::Agent nnved_;
  std::deque<OctetString> up_, down_;  ///< frames under way
};

}  // namespace splitnve::bench
