// SPDX-License-Identifier: Apache-2.0
// The network virtualization authority that is embedded in nnved: it shall never be what a switch waits for.
#include <algorithm>
#include <functional>

#include "benches.hpp"
#include "nnved/embedded_authority.hpp"

namespace splitnve::bench {
namespace {

constexpr std::uint32_t kRowsPerPublish = 37;  ///< what one ECPDU brings
constexpr std::uint32_t kVnsOfAuthority = 100;
constexpr double kClaimsPerSecondMin = 300'000;  ///< twice what the daemons shall associate

agent::AuthorityRow row_of(std::uint32_t i, std::uint32_t generation, bool mapped) {
  agent::AuthorityRow row;
  row.vn = GroupId(1 + i % kVnsOfAuthority);
  row.mac = MacAddress(0x020000000000u + i);
  row.vsi.octets[12] = static_cast<std::uint8_t>(i >> 24);
  row.vsi.octets[13] = static_cast<std::uint8_t>(i >> 16);
  row.vsi.octets[14] = static_cast<std::uint8_t>(i >> 8);
  row.vsi.octets[15] = static_cast<std::uint8_t>(i);
  row.generation = generation;
  row.mapped = row.forwarding = mapped;
  return row;
}

/// Rows a second that the authority takes of this nNVE.
double told_per_second(nnved::EmbeddedAuthority& authority, std::uint32_t tsis, std::uint32_t nnve, bool mapped,
                       Report& report) {
  std::vector<agent::Publish> publishes;
  for (std::uint32_t i = 0; i < tsis; ++i) {
    if (i % kRowsPerPublish == 0) publishes.emplace_back();
    publishes.back().rows.push_back(row_of(i, nnve, mapped));
  }
  std::size_t refused = 0;
  const auto begun = Clock::now();
  for (const auto& publish : publishes) refused += authority.handle(publish, nnve).failures.size();
  const double seconds = seconds_since(begun);
  report.require(refused == 0, "the authority takes every row");
  return tsis / seconds;
}

}  // namespace

Report bench_nva(const Setting& setting) {
  Report report("nva", !setting.smoke);
  report.parameter("tsis", setting.tsis);
  nnved::EmbeddedAuthority authority;
  constexpr std::uint32_t kFirst = 1, kSecond = 2;
  report.at_least("claims_per_second", told_per_second(authority, setting.tsis, kFirst, true, report),
                  kClaimsPerSecondMin);
  report.at_least("takeovers_per_second", told_per_second(authority, setting.tsis, kSecond, true, report),
                  kClaimsPerSecondMin);
  const auto lost = authority.rows(kFirst);
  report.require(lost.size() == setting.tsis && std::ranges::none_of(lost, &agent::AuthorityRow::forwarding),
                 "the second nNVE has every address, the first still maps it");
  report.at_least("withdrawals_per_second", told_per_second(authority, setting.tsis, kFirst, false, report),
                  kClaimsPerSecondMin);
  report.require(authority.rows(kFirst).empty() && authority.rows(kSecond).size() == setting.tsis,
                 "a withdrawal takes nothing of another's");
  return report;
}

}  // namespace splitnve::bench
