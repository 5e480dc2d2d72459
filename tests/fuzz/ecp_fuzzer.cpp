// SPDX-License-Identifier: Apache-2.0
// Any octets as an Ethernet frame: decoding stays within them, and what it accepts is written again octet for octet.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "splitnve/base/check.hpp"
#include "splitnve/ecp/header.hpp"

namespace {

using splitnve::ensure;
using splitnve::Octets;
using splitnve::OctetString;
namespace ecp = splitnve::ecp;

constexpr std::size_t kAddressesOctets = 12;
constexpr std::size_t kUntaggedPayloadOffset = 18;
constexpr std::size_t kTagOctets = 4;

OctetString without_tag(Octets input, std::size_t payload_offset) {
  OctetString frame(input.begin(), input.end());
  if (payload_offset > kUntaggedPayloadOffset)
    frame.erase(frame.begin() + kAddressesOctets, frame.begin() + kAddressesOctets + kTagOctets);
  return frame;
}

void check_accepted(Octets input, const ecp::Frame& frame) {
  ensure(frame.payload_offset == kUntaggedPayloadOffset || frame.payload_offset == kUntaggedPayloadOffset + kTagOctets,
         "the payload stands behind the header");
  ensure(frame.payload_offset + frame.payload.size() == input.size(), "the payload is the rest of the frame");
  ensure(!frame.source.is_group(), "a group address sends nothing");
  OctetString again;
  ecp::encode_frame(frame.destination, frame.source, frame.operation, frame.sequence, frame.payload, again);
  const OctetString expected = without_tag(input, frame.payload_offset);
  ensure(again.size() >= expected.size(), "encoding lost octets");
  const auto padding = again.begin() + static_cast<std::ptrdiff_t>(expected.size());
  ensure(std::equal(expected.begin(), expected.end(), again.begin(), padding), "encoding changed octets");
  ensure(std::all_of(padding, again.end(), [](std::uint8_t octet) { return octet == 0; }), "padding is zero");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Octets input(data, size);
  const auto frame = ecp::decode_frame(input);
  if (frame) {
    check_accepted(input, *frame);
  } else {
    ensure(frame.error().offset <= size, "an error lies within its frame");
  }
  return 0;
}
