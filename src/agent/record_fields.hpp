// SPDX-License-Identifier: Apache-2.0
// What the stored records of both agents are made of (S32); each record's own picture says in which order.
//
//   text  length(1) octets     VSI-ID  format(1) octets(16)     IP  family(1) length(1) octets(4 or 16)
//
// A reader that returns false lacks octets, as those of BoundedReader.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "splitnve/base/bytes.hpp"
#include "splitnve/base/ids.hpp"
#include "splitnve/base/ip.hpp"

namespace splitnve::agent {

/// Requires at most 255 octets of text.
void write_text(BoundedWriter& writer, std::string_view text);
bool read_text(BoundedReader& reader, std::string& text);

void write_vsi(BoundedWriter& writer, const VsiId& vsi);
bool read_vsi(BoundedReader& reader, VsiId& vsi);

bool read_mac(BoundedReader& reader, MacAddress& mac);

/// An id of 16 or 32 bits.
template <class Id>
bool read_id(BoundedReader& reader, Id& id) {
  auto value = id.value();
  static_assert(sizeof value == 2 || sizeof value == 4);
  if constexpr (sizeof value == 2) {
    if (!reader.u16(value)) return false;
  } else {
    if (!reader.u32(value)) return false;
  }
  id = Id(value);
  return true;
}

/// How many octets write_ip() takes; both require that it is one.
std::size_t ip_octets(const IpPrefix& ip);
void write_ip(BoundedWriter& writer, const IpPrefix& ip);
/// Errors: truncated, unknown family, an IP that no VM may have.
Decoded<IpPrefix> read_ip(BoundedReader& reader);

}  // namespace splitnve::agent
