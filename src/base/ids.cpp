// SPDX-License-Identifier: Apache-2.0
#include "splitnve/base/ids.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

namespace splitnve {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool hex_octet(std::string_view text, std::size_t at, std::uint8_t& out) {
  const int high = hex_digit(text[at]);
  const int low = hex_digit(text[at + 1]);
  if (high < 0 || low < 0) return false;
  out = static_cast<std::uint8_t>(high * 16 + low);
  return true;
}

void append_hex(std::string& out, std::uint8_t octet) {
  static constexpr char kDigits[] = "0123456789abcdef";
  out += kDigits[octet >> 4];
  out += kDigits[octet & 0x0F];
}

/// Before an IPv4 address in 16 octets (RFC 4291, IPv4-mapped).
constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
constexpr std::string_view kFormat = "format";

std::string hexadecimal(const VsiId& id) {
  std::string text = std::string(kFormat) + std::to_string(id.format) + ":";
  for (const auto octet : id.octets) append_hex(text, octet);
  return text;
}

std::optional<VsiId> from_hexadecimal(std::string_view text) {
  if (!text.starts_with(kFormat)) return std::nullopt;
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || text.size() != colon + 33) return std::nullopt;
  VsiId id;
  const char* end = text.data() + colon;
  const auto [stopped, failure] = std::from_chars(text.data() + kFormat.size(), end, id.format);
  if (failure != std::errc() || stopped != end) return std::nullopt;
  for (std::size_t i = 0; i < id.octets.size(); ++i)
    if (!hex_octet(text, colon + 1 + 2 * i, id.octets[i])) return std::nullopt;
  return id;
}

}  // namespace

std::optional<MacAddress> MacAddress::from_string(std::string_view text) {
  if (text.size() != 17) return std::nullopt;
  Bytes octets{};
  for (std::size_t i = 0; i < 6; ++i) {
    if (!hex_octet(text, 3 * i, octets[i])) return std::nullopt;
    if (i < 5 && text[3 * i + 2] != ':') return std::nullopt;
  }
  return MacAddress(octets);
}

std::string MacAddress::to_string() const {
  std::string text;
  text.reserve(17);
  for (std::size_t i = 0; i < 6; ++i) {
    if (i > 0) text += ':';
    append_hex(text, octets_[i]);
  }
  return text;
}

std::optional<VsiId> VsiId::from_uuid(std::string_view text) {
  if (text.size() != 36) return std::nullopt;
  VsiId id;
  std::size_t at = 0;
  for (std::size_t i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) {
      if (text[at++] != '-') return std::nullopt;
    }
    if (!hex_octet(text, at, id.octets[i])) return std::nullopt;
    at += 2;
  }
  return id;
}

std::optional<VsiId> VsiId::from_string(std::string_view text) {
  if (const auto uuid = from_uuid(text)) return uuid;
  VsiId id;
  if (const auto mac = MacAddress::from_string(text)) {
    id.format = 3;
    std::ranges::copy(mac->octets(), id.octets.begin() + 10);
    return id;
  }
  const std::string terminated(text);
  if (inet_pton(AF_INET, terminated.c_str(), id.octets.data() + 12) == 1) {
    id.format = 1;
    std::ranges::copy(kMapped, id.octets.begin());
    return id;
  }
  if (inet_pton(AF_INET6, terminated.c_str(), id.octets.data()) == 1) {
    id.format = 2;
    return id;
  }
  return from_hexadecimal(text);
}

std::string VsiId::to_string() const {
  std::string text;
  char address[INET6_ADDRSTRLEN];
  switch (format) {
    case 1:
      if (!std::ranges::equal(kMapped, std::span(octets).first<12>())) return hexadecimal(*this);
      return inet_ntop(AF_INET, octets.data() + 12, address, sizeof address);
    case 2: return inet_ntop(AF_INET6, octets.data(), address, sizeof address);
    case 3: {
      if (std::ranges::any_of(std::span(octets).first<10>(), [](std::uint8_t octet) { return octet != 0; }))
        return hexadecimal(*this);
      MacAddress::Bytes mac{};
      std::copy(octets.begin() + 10, octets.end(), mac.begin());
      return MacAddress(mac).to_string();
    }
    case 5:
      text.reserve(36);
      for (std::size_t i = 0; i < 16; ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
        append_hex(text, octets[i]);
      }
      return text;
    default: return hexadecimal(*this);
  }
}

}  // namespace splitnve
