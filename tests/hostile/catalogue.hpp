// SPDX-License-Identifier: Apache-2.0
// Every class of frame that a hostile or broken peer may send a nNVE, with what must become of each. One list for the
// unit test, which sends each frame once, and for the attacker, which floods with them.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "splitnve/base/bytes.hpp"
#include "splitnve/base/ids.hpp"

namespace splitnve::hostile {

/// Who speaks, to which port, and what a well-behaved station of another port owns.
struct Scene {
  MacAddress attacker;
  MacAddress port;
  std::uint32_t vn = 0;  ///< one that the attacker may join
  VsiId victim_vsi;
  MacAddress victim_mac;
};

/// How far a frame of the class comes.
enum class Depth : std::uint8_t {
  kFilter,   ///< no further than the kernel: too short to be sent, or of another EtherType
  kPort,     ///< the frame port counts and drops it
  kFrame,    ///< the agent drops it before it looks for the peer
  kSession,  ///< it reaches a session; under a flood the inbox may be full instead
};

struct Case {
  std::string name;
  OctetString frame;
  Depth depth = Depth::kSession;
  std::string drop;                                     ///< the agent's cause; empty: taken
  std::string port_drop;                                ///< depth kPort: the port's counter
  std::optional<std::uint8_t> answer;                   ///< status of the answer to its association TLV
  std::uint64_t malformed = 0, skipped = 0, stray = 0;  ///< TLVs that the bridge counts as such
  bool fixed_sequence = false;                          ///< the class is about its sequence number: leave it
};

/// Where the sequence number of an untagged ECP frame stands.
inline constexpr std::size_t kSequenceOffset = 16;

std::vector<Case> catalogue(const Scene& scene);

/// A request that is in order, and stays so when it is repeated: an Associate of `vsi` with `mac`.
OctetString valid_request(const Scene& scene, const VsiId& vsi, const MacAddress& mac, std::uint16_t sequence);

}  // namespace splitnve::hostile
