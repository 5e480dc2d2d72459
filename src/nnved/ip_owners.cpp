// SPDX-License-Identifier: Apache-2.0
#include "nnved/ip_owners.hpp"

#include "nnved/share_limits.hpp"
#include "splitnve/base/check.hpp"

namespace splitnve::nnved {
namespace {

/// The first address of the range of this length that the prefix lies in.
IpPrefix widened(IpPrefix ip, std::uint8_t length) {
  for (std::size_t octet = 0; octet < ip.octets.size(); ++octet) {
    const std::size_t first_bit = octet * 8;
    if (first_bit >= length)
      ip.octets[octet] = 0;
    else if (first_bit + 8 > length)
      ip.octets[octet] &= static_cast<std::uint8_t>(0xFFu << (first_bit + 8 - length));
  }
  ip.length = length;
  return ip;
}

bool goes_with(const IpOwners::Claim& held, const IpOwners::Claim& claim) {
  return held.vsi == claim.vsi && (held.mac == claim.mac || held.place == claim.place);
}

}  // namespace

bool overlap(const IpPrefix& a, const IpPrefix& b) {
  if (a.family != b.family || a.is_none()) return false;
  const std::uint8_t length = std::min(a.length, b.length);
  return widened(a, length) == widened(b, length);
}

const IpOwners::Claim* IpOwners::other(GroupId vn, const IpPrefix& ip, const Claim& claim) const {
  if (const auto same = holders_.find(key_of(vn, ip)); same != holders_.end() && goes_with(same->second.claim, claim))
    return nullptr;  // what it holds it may go on to hold
  if (const Claim* found = around(vn, ip, claim)) return found;
  return within(vn, ip, claim);
}

/// Of the prefixes that the address range lies in, those of another.
const IpOwners::Claim* IpOwners::around(GroupId vn, const IpPrefix& ip, const Claim& claim) const {
  const auto used = lengths_.find(FamilyKey{vn, ip.family});
  if (used == lengths_.end()) return nullptr;
  for (std::uint8_t length = 0; length <= ip.length; ++length) {
    if (used->second[length] == 0) continue;
    const auto at = holders_.find(key_of(vn, widened(ip, length)));
    if (at != holders_.end() && !goes_with(at->second.claim, claim)) return &at->second.claim;
  }
  return nullptr;
}

/// Of the prefixes within the range those of another. A VSI that has more of its own there than one TSI may is told
/// that it overlaps itself, so that no range makes us walk a table.
const IpOwners::Claim* IpOwners::within(GroupId vn, const IpPrefix& ip, const Claim& claim) const {
  if (ip.is_single()) return nullptr;
  std::size_t looked = 0;
  for (auto at = holders_.lower_bound(key_of(vn, ip)); at != holders_.end(); ++at) {
    const auto& [key, holder] = *at;
    if (key.vn != vn || !overlap(ip, {key.family, key.length, key.first})) return nullptr;
    if (!goes_with(holder.claim, claim) || ++looked > limits::kIpsPerInstanceMax) return &holder.claim;
  }
  return nullptr;
}

void IpOwners::add(GroupId vn, const IpPrefix& ip, const Claim& claim) {
  const auto [at, added] = holders_.try_emplace(key_of(vn, ip), Holder{claim, 0});
  ensure(at->second.claim.vsi == claim.vsi, "two VSIs hold one IP");
  ++at->second.rows;
  if (added) ++lengths_[FamilyKey{vn, ip.family}][ip.length];
}

void IpOwners::remove(GroupId vn, const IpPrefix& ip) {
  const auto at = holders_.find(key_of(vn, ip));
  ensure(at != holders_.end(), "removing an IP that nobody holds");
  if (--at->second.rows > 0) return;
  holders_.erase(at);
  --lengths_.find(FamilyKey{vn, ip.family})->second[ip.length];
}

}  // namespace splitnve::nnved
