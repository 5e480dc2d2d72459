// SPDX-License-Identifier: Apache-2.0
// What differs between the tables and what was last told to datapath, store and authority: keys only. The rows are read
// from the tables when the batch is cut, so that many changes of one key become one row, and a retry never writes what
// is no longer true.
#pragma once
#include <algorithm>
#include <compare>
#include <cstdint>
#include <vector>

#include "splitnve/base/ids.hpp"
#include "splitnve/base/ip.hpp"

namespace splitnve::nnved {

/// A row of a slab; kNoIndex is none.
using Index = std::uint32_t;
inline constexpr Index kNoIndex = 0xFFFFFFFF;

struct AddressKey {
  GroupId vn;
  MacAddress mac;
  friend auto operator<=>(const AddressKey&, const AddressKey&) = default;
  friend std::size_t hash_value(const AddressKey& key) {
    return boost::hash<std::uint64_t>()(key.mac.value() ^ (static_cast<std::uint64_t>(key.vn.value()) << 40));
  }
};
struct GuardKey {
  AddressKey address;
  PortId port;
  friend auto operator<=>(const GuardKey&, const GuardKey&) = default;
};
/// An address under its instance: a MAC, or an IP of that MAC.
struct AddressName {
  MacAddress mac;
  IpPrefix ip;
  // NOLINTNEXTLINE(google-explicit-constructor): a MAC is the name of an address without an IP
  AddressName(const MacAddress& mac_ = {}, const IpPrefix& ip_ = {}) : mac(mac_), ip(ip_) {}
  friend auto operator<=>(const AddressName&, const AddressName&) = default;
};
struct IpKey {
  Index instance = kNoIndex;
  AddressName name;
  friend auto operator<=>(const IpKey&, const IpKey&) = default;
};
struct TagKey {
  PortId port;
  Vid vid;
  GroupId vn;
  friend auto operator<=>(const TagKey&, const TagKey&) = default;
};

/// Keys of datapath rows.
struct RowKeys {
  std::vector<GroupId> domains;
  std::vector<TagKey> access;
  std::vector<IpKey> ips;
  std::vector<GuardKey> guards;
  std::vector<AddressKey> fdb;

  bool empty() const { return domains.empty() && access.empty() && ips.empty() && guards.empty() && fdb.empty(); }
};

/// An address that nobody here has any longer, and who told the authority of it last.
struct Departed {
  AddressKey key;
  VsiId vsi;
  std::uint32_t generation = 0;
  friend auto operator<=>(const Departed&, const Departed&) = default;
};

/// A connect of a VN, and which one of its number.
struct ConnectName {
  Index number = kNoIndex;
  std::uint64_t serial = 0;
};

struct Changes {
  RowKeys rows;
  std::vector<Index> records;  ///< TSI rows
  std::vector<Index> signers;
  std::vector<Index> latches;
  std::vector<Index> connects;
  std::vector<Index> let_back;  ///< instances whose latch of S6 has ended
  bool epoch = false;           ///< the record of the store's epoch
  std::vector<AddressKey> authority;
  std::vector<Departed> departed;
  std::vector<TagKey> tags;
};

template <class Keys>
void sort_unique(Keys& keys) {
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
}
inline void sort_unique(RowKeys& keys) {
  sort_unique(keys.domains);
  sort_unique(keys.access);
  sort_unique(keys.ips);
  sort_unique(keys.guards);
  sort_unique(keys.fdb);
}
template <class T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}
inline void append(RowKeys& to, const RowKeys& from) {
  append(to.domains, from.domains);
  append(to.access, from.access);
  append(to.ips, from.ips);
  append(to.guards, from.guards);
  append(to.fdb, from.fdb);
}

}  // namespace splitnve::nnved
