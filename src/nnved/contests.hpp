// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <boost/circular_buffer.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <iterator>
#include <string>
#include <vector>

#include "nnved/changes.hpp"
#include "nnved/share_limits.hpp"
#include "splitnve/base/time.hpp"

namespace splitnve::nnved {

/// Somebody asked for an address that another has, and was refused (S6).
struct Claim {
  PortId port;
  MacAddress station;
  VsiId vsi;
  GroupId vn;
  AddressName name;
  std::string address;
  std::string holder;  ///< who has it, for people
  Instant at{};
};

/// What operators shall see of addresses that two want: claims that were refused, and takeovers to and fro. Bounded;
/// one claimant's noise drops only claims of its own port.
class Contests {
 public:
  /// Is it one that stands? Then it stands for another limits::kClaimShown.
  bool repeats(const Claim& claim) {
    const auto of_port = claims_.find(claim.port);
    if (of_port == claims_.end()) return false;
    const auto known = find(of_port->second, claim);
    if (known == of_port->second.end()) return false;
    known->at = claim.at;
    return true;
  }
  void note(Claim claim) {
    Claims& of_port = claims_[claim.port];
    if (of_port.capacity() == 0) of_port.set_capacity(limits::kClaimsPerPortMax);
    of_port.push_back(std::move(claim));
  }
  /// Those that stand, oldest first.
  std::vector<Claim> claims(Instant now) const {
    std::vector<Claim> standing;
    for (const auto& [port, of_port] : claims_)
      std::ranges::copy_if(of_port, std::back_inserter(standing),
                           [now](const Claim& one) { return now - one.at < limits::kClaimShown; });
    std::ranges::stable_sort(standing, {}, &Claim::at);
    return standing;
  }

  /// An address was taken from somebody who had not said that it leaves.
  void taken(const AddressKey& key, Instant now) {
    if (takeovers_.size() >= limits::kContestedAddressesMax) takeovers_.clear();
    Takeovers& of = takeovers_[key];
    if (now - of.since >= limits::kContestWindow) of = {now, 0, false};
    ++of.count;
  }
  /// Was it taken so often that it stays where it is? `alarm` becomes true the first time in a window.
  bool stays(const AddressKey& key, Instant now, bool& alarm) {
    const auto at = takeovers_.find(key);
    if (at == takeovers_.end()) return false;
    Takeovers& of = at->second;
    if (now - of.since >= limits::kContestWindow || of.count < limits::kContestedTakeoversMax) return false;
    alarm = !std::exchange(of.alarmed, true);
    return true;
  }

 private:
  struct Takeovers {
    Instant since{};
    unsigned count = 0;
    bool alarmed = false;
  };
  using Claims = boost::circular_buffer<Claim>;
  static Claims::iterator find(Claims& claims, const Claim& claim) {
    return std::ranges::find_if(
        claims, [&](const Claim& one) { return one.vsi == claim.vsi && one.vn == claim.vn && one.name == claim.name; });
  }

  boost::unordered_flat_map<PortId, Claims, boost::hash<PortId>> claims_;
  boost::unordered_flat_map<AddressKey, Takeovers> takeovers_;
};

}  // namespace splitnve::nnved
