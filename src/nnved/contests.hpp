// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <boost/unordered/unordered_flat_map.hpp>
#include <deque>
#include <string>

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
  std::string address;
  std::string holder;  ///< who has it, for people
  Instant at{};
};

/// What operators shall see of addresses that two want: claims that were refused, and takeovers to and fro. Bounded;
/// one claimant's noise drops only claims of its own port.
class Contests {
 public:
  /// A claim stands until it has not been repeated for limits::kClaimShown.
  void note(Claim claim, Instant now) {
    drop_old(now);
    claim.at = now;
    std::size_t of_port = 0;
    for (auto at = claims_.begin(); at != claims_.end(); ++at) {
      if (at->port != claim.port) continue;
      if (at->vsi == claim.vsi && at->vn == claim.vn && at->address == claim.address) {
        claims_.erase(at);
        of_port = 0;
        break;
      }
      ++of_port;
    }
    if (of_port >= limits::kClaimsPerPortMax)
      for (auto at = claims_.begin(); at != claims_.end(); ++at)
        if (at->port == claim.port) {
          claims_.erase(at);
          break;
        }
    claims_.push_back(std::move(claim));
  }
  /// Those that stand, oldest first.
  const std::deque<Claim>& claims(Instant now) {
    drop_old(now);
    return claims_;
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
  void drop_old(Instant now) {
    while (!claims_.empty() && now - claims_.front().at >= limits::kClaimShown) claims_.pop_front();
  }

  std::deque<Claim> claims_;
  boost::unordered_flat_map<AddressKey, Takeovers> takeovers_;
};

}  // namespace splitnve::nnved
