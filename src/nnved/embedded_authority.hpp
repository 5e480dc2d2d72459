// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <boost/container/small_vector.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <vector>

#include "nnved/changes.hpp"
#include "splitnve/agent/effects.hpp"

namespace splitnve::nnved {

/// The embedded network virtualization authority: a pure registry of who has which address of a VN (S27). One nNVE of
/// its own, or several in a simulation: each names itself by a number.
///
/// An address belongs to one VSI. A claim for another VSI is refused; so is a claim whose generation is below the
/// stored one of the same nNVE. The same VSI at another nNVE may map the address as well, and the last to claim
/// forwarding has it. What an nNVE withdraws is only its own claim, so a late withdrawal takes nothing from a new owner
/// (A10).
class EmbeddedAuthority {
 public:
  using Nnve = std::uint32_t;
  struct Claim {
    Nnve nnve = 0;
    agent::AuthorityRow row;
  };

  /// Takes all rows that can be taken. A refused row is a failure with its index in `rows` and the cause; its table is
  /// datapath::Table::kFdb and says nothing.
  agent::BatchResult handle(const agent::Publish& publish, Nnve nnve = 0);

  /// Start-up: makes exactly `full` what this nNVE claims; what it claimed besides, before it died, is withdrawn.
  agent::BatchResult reconcile(const agent::Publish& full, Nnve nnve = 0);

  /// All claims, in the order of VN, MAC, nNVE.
  std::vector<Claim> claims() const;
  /// The rows of one nNVE, in the order of VN and MAC.
  std::vector<agent::AuthorityRow> rows(Nnve nnve = 0) const;
  /// The tags of one nNVE, in the order of port and VID.
  std::vector<agent::AuthorityTag> tags(Nnve nnve = 0) const;

 private:
  const char* take(const agent::AuthorityRow& row, Nnve nnve);
  void withdraw(const AddressKey& key, Nnve nnve);

  struct Tag {
    Nnve nnve = 0;
    TagKey key;
    friend auto operator<=>(const Tag&, const Tag&) = default;
  };
  boost::unordered_flat_map<AddressKey, boost::container::small_vector<Claim, 1>> claims_;
  std::vector<Tag> tags_;  ///< sorted: as many as there are VAPs
};

}  // namespace splitnve::nnved
