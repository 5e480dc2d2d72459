// SPDX-License-Identifier: Apache-2.0
#include "splitnve/base/ids.hpp"

#include <arpa/inet.h>

#include <algorithm>

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

std::string VsiId::to_string() const {
  std::string text;
  char address[INET6_ADDRSTRLEN];
  switch (format) {
    case 1: return inet_ntop(AF_INET, octets.data() + 12, address, sizeof address);
    case 2: return inet_ntop(AF_INET6, octets.data(), address, sizeof address);
    case 3: {
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
    default:
      text = "format" + std::to_string(format) + ":";
      for (auto octet : octets) append_hex(text, octet);
      return text;
  }
}

}  // namespace splitnve
