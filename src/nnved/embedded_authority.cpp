// SPDX-License-Identifier: Apache-2.0
#include "nnved/embedded_authority.hpp"

#include <algorithm>
#include <boost/unordered/unordered_flat_set.hpp>
#include <tuple>

namespace splitnve::nnved {

agent::BatchResult EmbeddedAuthority::handle(const agent::Publish& publish, Nnve nnve) {
  agent::BatchResult result;
  result.batch = publish.batch;
  for (const agent::AuthorityRow& row : publish.rows)  // all at once out of memory into the cache
    if (const auto claims = claims_.find({row.vn, row.mac}); claims != claims_.end())
      __builtin_prefetch(&claims->second);
  for (std::size_t i = 0; i < publish.rows.size(); ++i)
    if (const char* refused = take(publish.rows[i], nnve))
      result.failures.push_back({datapath::Table::kFdb, static_cast<std::uint32_t>(i), refused});
  for (const agent::AuthorityTag& tag : publish.tags) {
    const Tag wanted{nnve, {tag.port, tag.vid, tag.vn}};
    const auto place = std::lower_bound(tags_.begin(), tags_.end(), wanted);
    const bool there = place != tags_.end() && *place == wanted;
    if (tag.present && !there) tags_.insert(place, wanted);
    if (!tag.present && there) tags_.erase(place);
  }
  return result;
}

agent::BatchResult EmbeddedAuthority::reconcile(const agent::Publish& full, Nnve nnve) {
  agent::Publish stale{full.batch, rows(nnve), tags(nnve)};
  for (auto& row : stale.rows) row.mapped = row.forwarding = false;
  for (auto& tag : stale.tags) tag.present = false;
  boost::unordered_flat_set<AddressKey> wanted;
  for (const auto& row : full.rows) wanted.insert({row.vn, row.mac});
  std::erase_if(stale.rows, [&wanted](const auto& row) { return wanted.contains({row.vn, row.mac}); });
  handle(stale, nnve);
  return handle(full, nnve);
}

const char* EmbeddedAuthority::take(const agent::AuthorityRow& row, Nnve nnve) {
  const AddressKey key{row.vn, row.mac};
  if (!row.mapped) {
    withdraw(key, nnve);
    return nullptr;
  }
  auto& claims = claims_[key];
  Claim* own = nullptr;
  for (Claim& claim : claims) {
    if (claim.row.vsi != row.vsi) return "another VSI has the address";
    if (claim.nnve == nnve) own = &claim;
    // S27. Its own claim an nNVE may always replace: after a crash it may not know how far it had counted.
    if (claim.nnve != nnve && claim.row.forwarding && row.forwarding && row.generation < claim.row.generation)
      return "another nNVE has taken the address over";
  }
  if (own == nullptr) own = &claims.emplace_back();
  *own = {nnve, row};
  if (!row.forwarding) return nullptr;
  for (Claim& claim : claims)
    if (claim.nnve != nnve) claim.row.forwarding = false;
  return nullptr;
}

void EmbeddedAuthority::withdraw(const AddressKey& key, Nnve nnve) {
  const auto found = claims_.find(key);
  if (found == claims_.end()) return;
  auto& claims = found->second;
  claims.erase(std::remove_if(claims.begin(), claims.end(), [&](const Claim& claim) { return claim.nnve == nnve; }),
               claims.end());
  if (claims.empty()) claims_.erase(found);
}

std::vector<EmbeddedAuthority::Claim> EmbeddedAuthority::claims() const {
  std::vector<Claim> all;
  for (const auto& [key, claims] : claims_) all.insert(all.end(), claims.begin(), claims.end());
  std::sort(all.begin(), all.end(), [](const Claim& a, const Claim& b) {
    return std::tie(a.row.vn, a.row.mac, a.nnve) < std::tie(b.row.vn, b.row.mac, b.nnve);
  });
  return all;
}

std::vector<agent::AuthorityRow> EmbeddedAuthority::rows(Nnve nnve) const {
  std::vector<agent::AuthorityRow> own;
  for (const Claim& claim : claims())
    if (claim.nnve == nnve) own.push_back(claim.row);
  return own;
}

std::vector<agent::AuthorityTag> EmbeddedAuthority::tags(Nnve nnve) const {
  std::vector<agent::AuthorityTag> own;
  for (const Tag& tag : tags_)
    if (tag.nnve == nnve) own.push_back({tag.key.vn, tag.key.port, tag.key.vid, true});
  return own;
}

}  // namespace splitnve::nnved
