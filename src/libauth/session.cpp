// SPDX-License-Identifier: Apache-2.0
#include "splitnve/auth/session.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace splitnve::auth {
namespace {

constexpr std::string_view kKeysLabel = "split-nve authentication 1";
constexpr std::string_view kSessionLabel = "split-nve session 1";
constexpr std::size_t kDigestOctets = 32;
constexpr std::size_t kContextOctets = 2 * 16 + 2 * 16 + 2 * 6;
constexpr std::uint64_t kWindow = 64;
constexpr std::size_t kEndOctets = 2;
char kSha256[] = "SHA256";  // OSSL_PARAM wants it writable, and does not write

void must(bool ok) { ensure(ok, "libcrypto has failed"); }

void write(BoundedWriter& writer, std::string_view label) {
  for (const char c : label) writer.u8(static_cast<std::uint8_t>(c));
}

void write_systems_and_macs(BoundedWriter& writer, const Parties& parties) {
  writer.octets(parties.station_system);
  writer.octets(parties.bridge_system);
  writer.octets(parties.station_mac.octets());
  writer.octets(parties.bridge_mac.octets());
}

using DerivedKeys = std::array<std::uint8_t, 2 * kDigestOctets>;

void derive(const Key& key, const Parties& parties, DerivedKeys& out) {
  std::array<std::uint8_t, 32> salt;
  BoundedWriter nonces(salt);
  nonces.octets(parties.station_nonce);
  nonces.octets(parties.bridge_nonce);
  std::array<std::uint8_t, kKeysLabel.size() + 2 + kContextOctets> room;
  BoundedWriter info(room);
  write(info, kKeysLabel);
  info.u16(key.id.value());
  write_systems_and_macs(info, parties);

  std::array<std::uint8_t, kKeyOctets> secret = key.secret;
  OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, kSha256, 0),
                         OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, secret.data(), secret.size()),
                         OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salt.data(), salt.size()),
                         OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, room.data(), info.size()),
                         OSSL_PARAM_construct_end()};
  static const std::unique_ptr<EVP_KDF, decltype(&EVP_KDF_free)> kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr),
                                                                     EVP_KDF_free);
  must(kdf != nullptr);
  const std::unique_ptr<EVP_KDF_CTX, decltype(&EVP_KDF_CTX_free)> context(EVP_KDF_CTX_new(kdf.get()), EVP_KDF_CTX_free);
  must(context != nullptr && EVP_KDF_derive(context.get(), out.data(), out.size(), params) == 1);
  OPENSSL_cleanse(secret.data(), secret.size());
}

/// Whom a frame reaches: a forger must not turn what was said to one into what is said to all.
std::uint8_t destination_class(const MacAddress& destination) {
  if (is_link_group(destination)) return 1;
  return destination.is_group() ? 3 : 2;
}

}  // namespace

std::uint64_t session_id(KeyId key, const Parties& parties) {
  std::array<std::uint8_t, kSessionLabel.size() + 2 + kContextOctets> room;
  BoundedWriter writer(room);
  write(writer, kSessionLabel);
  writer.u16(key.value());
  writer.octets(parties.station_nonce);
  writer.octets(parties.bridge_nonce);
  write_systems_and_macs(writer, parties);
  std::array<std::uint8_t, kDigestOctets> digest;
  must(EVP_Digest(room.data(), writer.size(), digest.data(), nullptr, EVP_sha256(), nullptr) == 1);
  std::uint64_t name = 0;
  BoundedReader(digest).u64(name);
  return name;
}

bool ReplayWindow::is_fresh(std::uint64_t counter, ecp::Operation operation) const {
  if (operation == ecp::Operation::kRequest && counter < last_request_) return false;
  if (counter > highest_) return true;
  const std::uint64_t behind = highest_ - counter;
  return counter != 0 && behind < kWindow && (seen_ >> behind & 1) == 0;
}

void ReplayWindow::spend(std::uint64_t counter, ecp::Operation operation) {
  ensure(is_fresh(counter, operation), "a counter is spent once");
  if (operation == ecp::Operation::kRequest) last_request_ = counter;
  if (counter > highest_) {
    const std::uint64_t ahead = counter - highest_;
    seen_ = ahead < kWindow ? seen_ << ahead : 0;
    highest_ = counter;
  }
  seen_ |= std::uint64_t{1} << (highest_ - counter);
}

Session::Session(const Key& key, const Parties& parties, vdp::Role own)
    : key_(key.id), id_(session_id(key.id, parties)), parties_(parties), own_(own) {
  DerivedKeys keys;
  derive(key, parties, keys);
  const Octets station = Octets(keys).first(kDigestOctets), bridge = Octets(keys).last(kDigestOctets);
  ours_.emplace(own == vdp::Role::kStation ? station : bridge);
  theirs_.emplace(own == vdp::Role::kStation ? bridge : station);
  OPENSSL_cleanse(keys.data(), keys.size());
}

Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

const Nonce& Session::own_nonce() const {
  return own_ == vdp::Role::kStation ? parties_.station_nonce : parties_.bridge_nonce;
}
const Nonce& Session::peer_nonce() const {
  return own_ == vdp::Role::kStation ? parties_.bridge_nonce : parties_.station_nonce;
}
const MacAddress& Session::peer_mac() const {
  return own_ == vdp::Role::kStation ? parties_.bridge_mac : parties_.station_mac;
}

Session::Tag Session::sign(const Hmac& mac, vdp::Role direction, const Envelope& envelope, Octets covered) {
  std::array<std::uint8_t, 2 + 6 + ecp::kHeaderOctets> room;
  BoundedWriter prefix(room);
  prefix.u8(destination_class(envelope.destination));
  prefix.u8(static_cast<std::uint8_t>(direction));
  prefix.octets(envelope.source.octets());
  ecp::encode_header(
      {ecp::kVersion, static_cast<std::uint8_t>(envelope.operation), ecp::kSubtypeVdp, envelope.sequence}, prefix);
  auto digest = mac(Octets(room).first(prefix.size()), covered);
  Tag tag;
  std::copy_n(digest.begin(), tag.size(), tag.begin());
  OPENSSL_cleanse(digest.data(), digest.size());
  return tag;
}

void Session::seal(const Envelope& envelope, OctetString& vdpdu) { seal_with(++counter_, envelope, vdpdu); }
void Session::seal_handshake(const Envelope& envelope, OctetString& vdpdu) { seal_with(0, envelope, vdpdu); }

void Session::seal_with(std::uint64_t counter, const Envelope& envelope, OctetString& vdpdu) {
  ensure(vdpdu.empty() || (vdpdu.size() >= kEndOctets && vdpdu.back() == 0), "a VDPDU closes with its End");
  const std::size_t before = vdpdu.empty() ? 0 : vdpdu.size() - kEndOctets;
  vdpdu.resize(before + kTlvOctets + kEndOctets);
  BoundedWriter writer(MutableOctets(vdpdu).subspan(before));
  constexpr auto kType = static_cast<std::uint16_t>(vdp::TlvType::kOrganizational);
  writer.u16(static_cast<std::uint16_t>(kType << 9 | (kTlvOctets - 2)));
  writer.octets(vdp::kOui);
  writer.u8(static_cast<std::uint8_t>(vdp::ExtensionType::kAuthentication));
  writer.u16(key_.value());
  writer.u64(id_);
  writer.u64(counter);
  writer.octets(sign(*ours_, own_, envelope, Octets(vdpdu).first(before + writer.size())));
  writer.u16(0);
  ensure(writer.room() == 0 && !writer.overflowed(), "the authentication TLV and End fill their room");
}

bool Session::verify(const Envelope& envelope, Octets covered, const Tag& tag) {
  const vdp::Role peer = own_ == vdp::Role::kStation ? vdp::Role::kBridge : vdp::Role::kStation;
  const Tag right = sign(*theirs_, peer, envelope, covered);
  return CRYPTO_memcmp(right.data(), tag.data(), tag.size()) == 0;
}

}  // namespace splitnve::auth
