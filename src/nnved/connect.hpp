// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <boost/unordered/unordered_flat_map.hpp>
#include <optional>
#include <string>

#include "nnved/changes.hpp"
#include "splitnve/agent/effects.hpp"
#include "splitnve/base/slab.hpp"
#include "splitnve/base/time.hpp"
#include "splitnve/vdp/extensions.hpp"

namespace splitnve::nnved {

/// A VN that a station has asked to be connected, whatever TSIs it has there (S30). It is one use of its VAP.
struct Connect {
  Index peer = kNoIndex;
  GroupId vn;
  Index vap = kNoIndex;
  Instant renewed{};
  std::uint64_t serial = 0;   ///< tells it from an earlier one of this number
  std::uint8_t awaiting = 0;  ///< as of a work: it is answered when all is back
  bool owes_answer = false;
  std::optional<vdp::VnName> name{};  ///< under which the answer is owed
};

/// The stored form:  version(1) VN(4) VID(2) station(6) interface length(1) interface
struct ConnectRecord {
  GroupId vn;
  Vid vid;
  MacAddress station;
  std::string interface_name;
  friend bool operator==(const ConnectRecord&, const ConnectRecord&) = default;
};
/// Requires at most 255 octets of interface name.
OctetString encode_connect(const ConnectRecord& record);
/// Errors: truncated, octets left over, unknown version.
Decoded<ConnectRecord> decode_connect(Octets octets);

/// The connects that stand, each under a number, its key in the store.
class ConnectTable {
 public:
  Index add(Index peer, GroupId vn, Index vap, Instant now) {
    const Index number = rows_.emplace();
    put(number, peer, vn, vap, now);
    return number;
  }
  void add_at(Index number, Index peer, GroupId vn, Index vap, Instant now) {
    rows_.emplace_at(number);
    put(number, peer, vn, vap, now);
  }
  void erase(Index number) {
    index_.erase(Key{rows_[number].peer, rows_[number].vn});
    rows_.erase(number);
  }
  Index find(Index peer, GroupId vn) const {
    const auto at = index_.find(Key{peer, vn});
    return at == index_.end() ? kNoIndex : at->second;
  }
  /// Is it still the one that a batch was about?
  bool is(ConnectName name) const { return rows_.contains(name.number) && rows_[name.number].serial == name.serial; }
  Connect& operator[](Index number) { return rows_[number]; }
  const Connect& operator[](Index number) const { return rows_[number]; }
  const Slab<Connect, 16>& rows() const { return rows_; }

 private:
  struct Key {
    Index peer;
    GroupId vn;
    friend bool operator==(const Key&, const Key&) = default;
    friend std::size_t hash_value(const Key& key) {
      return boost::hash<std::uint64_t>()((std::uint64_t{key.peer} << 32) | key.vn.value());
    }
  };
  void put(Index number, Index peer, GroupId vn, Index vap, Instant now) {
    Connect& row = rows_[number];
    row.peer = peer;
    row.vn = vn;
    row.vap = vap;
    row.renewed = now;
    row.serial = ++serial_;
    index_.emplace(Key{peer, vn}, number);
  }

  Slab<Connect, 16> rows_;
  boost::unordered_flat_map<Key, Index> index_;
  std::uint64_t serial_ = 0;
};

}  // namespace splitnve::nnved
