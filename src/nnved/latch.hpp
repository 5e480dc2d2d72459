// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <boost/unordered/unordered_flat_map.hpp>
#include <optional>
#include <string>

#include "nnved/changes.hpp"
#include "splitnve/agent/effects.hpp"
#include "splitnve/base/bytes.hpp"
#include "splitnve/base/ids.hpp"
#include "splitnve/base/slab.hpp"

namespace splitnve::nnved {

/// What an operator has taken out of service (S7): a VN on a port, or a VSI in a VN on any port. While it stands,
/// Associates get code 4 and the reason.
struct Latch {
  GroupId vn;
  std::string interface_name;  ///< of the port; empty: any, then `vsi` is set
  std::optional<VsiId> vsi;
  std::string reason;
  /// Of a VSI: what is reserved stays, only Associates are refused (D9); `mac` not zero: those of this address alone.
  bool activation_only = false;
  MacAddress mac{};
  friend bool operator==(const Latch&, const Latch&) = default;
};

/// The stored form:  version(1) VN(4) interface length(1) interface  has-VSI(1) [format(1) VSI-ID(16)]  length(1)
/// reason;  of a latch that refuses activation only: version 2, and MAC(6) behind all
OctetString encode_latch(const Latch& latch);
/// Errors: truncated, octets left over, unknown version or flag, neither port nor VSI.
Decoded<Latch> decode_latch(Octets octets);

/// The latches that stand. Each has a number, its key in the store; what changes is noted in `Changes`.
class LatchTable {
 public:
  explicit LatchTable(Changes& changes) : changes_(changes) {}

  /// Sets the latch, or gives a standing one this reason. False: there are limits::kLatchesMax.
  bool set(Latch latch);
  /// All of a VSI, or the one of a VN on a port. False: there is none.
  bool release(GroupId vn, const std::string& interface_name, const std::optional<VsiId>& vsi);
  /// The latch that a request for the address runs into, or null; a VSI's own before its VN's.
  const Latch* find(GroupId vn, const std::string& interface_name, const VsiId& vsi, const MacAddress& mac,
                    bool activates) const;
  /// A stored latch under its own number; false if that is taken or out of range, or the same latch stands already.
  bool restore(Index number, Latch latch);

  /// Empty value: there is no such latch any longer.
  agent::StoreRecord record(Index number) const;
  const Slab<Latch, 16>& rows() const { return rows_; }

 private:
  struct Key {
    GroupId vn;
    std::string interface_name;
    VsiId vsi;
    bool activation_only = false;
    MacAddress mac;
    friend bool operator==(const Key&, const Key&) = default;
    friend std::size_t hash_value(const Key& key) {
      std::size_t seed = hash_value(key.vsi);
      boost::hash_combine(seed, key.vn.value());
      boost::hash_combine(seed, key.interface_name);
      boost::hash_combine(seed, key.mac.value() * 2 + (key.activation_only ? 1 : 0));
      return seed;
    }
  };
  static Key key_of(const Latch& latch) {
    return {latch.vn, latch.interface_name, latch.vsi.value_or(VsiId{}), latch.activation_only, latch.mac};
  }

  Changes& changes_;
  Slab<Latch, 16> rows_;
  boost::unordered_flat_map<Key, Index> index_;
};

}  // namespace splitnve::nnved
