// SPDX-License-Identifier: Apache-2.0
#include "agent/signers.hpp"

#include <algorithm>

#include "agent/record_fields.hpp"
#include "splitnve/base/limits.hpp"

namespace splitnve::agent {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kFixedOctets = 1 + 16 + 8 + 6 + 1;

bool counts(const Signer& signer, const auth::KeyRing& keys) { return keys.has_fingerprint(signer.fingerprint); }

}  // namespace

std::optional<std::uint32_t> Signers::note(const Signer& signer) {
  if (std::ranges::find(signers_, signer) != signers_.end()) return std::nullopt;
  // The same peer with another key takes its old place. Behind another MAC it is one more: both have signed.
  const auto same = std::ranges::find_if(signers_, [&](const Signer& one) {
    return one.interface_name == signer.interface_name && one.mac == signer.mac;
  });
  std::size_t number = static_cast<std::size_t>(same - signers_.begin());
  if (same == signers_.end() && signers_.size() >= limits::kSignersMax) number = yields_to(signer.interface_name);
  if (number == signers_.size()) signers_.emplace_back();
  signers_[number] = signer;
  return static_cast<std::uint32_t>(number);
}

/// Whoever signs with many MACs costs none of another interface its record, as long as its own has some.
std::size_t Signers::yields_to(std::string_view interface_name) {
  for (std::size_t n = 0; n < limits::kSignersMax; ++n) {
    const std::size_t number = (oldest_ + n) % limits::kSignersMax;
    if (signers_[number].interface_name != interface_name) continue;
    oldest_ = (number + 1) % limits::kSignersMax;
    return number;
  }
  return std::exchange(oldest_, (oldest_ + 1) % limits::kSignersMax);
}

bool Signers::has_mac(const MacAddress& mac, std::string_view interface_name, const auth::KeyRing& keys) const {
  return std::ranges::any_of(signers_, [&](const Signer& one) {
    return one.mac == mac && one.interface_name == interface_name && counts(one, keys);
  });
}

bool Signers::has_interface(std::string_view interface_name, const auth::KeyRing& keys) const {
  return std::ranges::any_of(
      signers_, [&](const Signer& one) { return one.interface_name == interface_name && counts(one, keys); });
}

bool Signers::has_system(const vdp::SystemId& system, const auth::KeyRing& keys) const {
  return std::ranges::any_of(signers_, [&](const Signer& one) { return one.system == system && counts(one, keys); });
}

StoreRecord Signers::record(std::uint32_t number) const {
  const Signer& signer = signers_.at(number);
  StoreRecord stored{store_key(RecordKind::kSigner, number + std::uint64_t{1}),
                     OctetString(kFixedOctets + signer.interface_name.size())};
  BoundedWriter writer(stored.value);
  writer.u8(kVersion);
  writer.octets(signer.system);
  writer.u64(signer.fingerprint);
  writer.octets(signer.mac.octets());
  write_text(writer, signer.interface_name);
  ensure(!writer.overflowed() && writer.room() == 0, "a signer's record fills its room");
  return stored;
}

std::string Signers::restore(const StoreRecord& stored) {
  const std::uint64_t id = stored.key & ((std::uint64_t{1} << 56) - 1);
  if (id == 0 || id > limits::kSignersMax) return "number out of range";
  BoundedReader reader(stored.value);
  Signer signer;
  std::uint8_t version = 0;
  if (!reader.u8(version) || version != kVersion) return "unknown version";
  if (!reader.array(signer.system) || !reader.u64(signer.fingerprint) || !read_mac(reader, signer.mac) ||
      !read_text(reader, signer.interface_name) || !reader.empty())
    return "truncated, or octets left over";
  if (signers_.size() < id) signers_.resize(id);
  signers_[id - 1] = std::move(signer);
  return "";
}

}  // namespace splitnve::agent
