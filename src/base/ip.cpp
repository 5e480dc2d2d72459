// SPDX-License-Identifier: Apache-2.0
#include "splitnve/base/ip.hpp"

#include <arpa/inet.h>

#include <charconv>

#include "splitnve/base/check.hpp"

namespace splitnve {

std::optional<IpPrefix> IpPrefix::from_string(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return std::nullopt;  // inet_pton would read no further
  const std::size_t slash = text.find('/');
  const std::string address(text.substr(0, slash));
  IpPrefix out;
  if (inet_pton(AF_INET, address.c_str(), out.octets.data()) == 1) {
    out.family = IpFamily::kV4;
  } else if (inet_pton(AF_INET6, address.c_str(), out.octets.data()) == 1) {
    out.family = IpFamily::kV6;
  } else {
    return std::nullopt;
  }
  out.length = address_bits(out.family);
  if (slash == std::string_view::npos) return out;
  const char* const begin = text.data() + slash + 1;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(begin, end, out.length);
  if (error != std::errc() || rest != end || out.length > address_bits(out.family) || out.has_host_bits())
    return std::nullopt;
  return out;
}

std::string IpPrefix::to_string() const {
  if (is_none()) return "-";
  char text[INET6_ADDRSTRLEN];
  std::string out = inet_ntop(family == IpFamily::kV4 ? AF_INET : AF_INET6, octets.data(), text, sizeof text);
  return is_single() ? out : out + "/" + std::to_string(length);
}

bool IpPrefix::has_host_bits() const {
  ensure(length <= address_bits(family), "a prefix is no longer than its address");
  const std::size_t whole = length / 8;
  for (std::size_t i = whole; i < octets.size(); ++i) {
    const unsigned host = i == whole ? 0xFFu >> (length % 8) : 0xFFu;
    if ((octets[i] & host) != 0) return true;
  }
  return false;
}

bool IpPrefix::is_usable_source() const {
  const auto all_zero = [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i)
      if (octets[i] != 0) return false;
    return true;
  };
  switch (family) {
    case IpFamily::kNone: return false;
    case IpFamily::kV4:
      if (octets[0] >= 224 && octets[0] < 240) return false;
      if (is_single() && octets[0] == 255 && octets[1] == 255 && octets[2] == 255 && octets[3] == 255) return false;
      return octets[0] != 127 && (!is_single() || !all_zero(0, 4));
    case IpFamily::kV6:
      // ::ffff:a.b.c.d is how an API writes an IPv4 address; it is on no wire.
      if (all_zero(0, 10) && octets[10] == 0xFF && octets[11] == 0xFF && length >= 96) return false;
      return octets[0] != 0xFF && (!is_single() || !all_zero(0, 15) || octets[15] > 1);
  }
  return false;
}

}  // namespace splitnve
