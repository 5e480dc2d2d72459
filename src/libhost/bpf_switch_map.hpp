// SPDX-License-Identifier: Apache-2.0
// A BPF hash map as typed rows, written and read in batches.
#pragma once
#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "splitnve/base/result.hpp"

namespace splitnve::host::bpf {

/// A plain key or value by its octets, for hashing and comparing.
template <class T>
std::string_view octets_of(const T& plain) {
  return {reinterpret_cast<const char*>(&plain), sizeof(T)};
}
/// Mixes eight octets at a time: keys are 4 to 32 octets, and a full comparison hashes each row of the switch twice.
struct OctetHash {
  using is_avalanching = void;
  template <class T>
  std::size_t operator()(const T& plain) const {
    std::uint64_t hash = sizeof(T);
    const std::string_view octets = octets_of(plain);
    for (std::size_t at = 0; at < octets.size(); at += sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, octets.data() + at, std::min(sizeof word, octets.size() - at));
      hash = (hash ^ word) * 0x9E3779B97F4A7C15;
      hash ^= hash >> 32;
    }
    hash *= 0xD6E8FEB86659FD93;
    return hash ^ (hash >> 32);
  }
};
struct OctetEqual {
  template <class T>
  bool operator()(const T& a, const T& b) const {
    return octets_of(a) == octets_of(b);
  }
};

template <class Key>
using PlaceOf = boost::unordered_flat_map<Key, std::uint32_t, OctetHash, OctetEqual>;

/// A row that the kernel refused: its place in the batch and errno.
struct Refusal {
  std::size_t index = 0;
  int error = 0;
};

/// Octet-level access to one map. Where the kernel has no batch operation for the map, rows go one by one.
class RawMap {
 public:
  RawMap() = default;
  RawMap(int fd, std::size_t key_size, std::size_t value_size)
      : fd_(fd), key_size_(key_size), value_size_(value_size) {}

  std::vector<Refusal> put(const void* keys, const void* values, std::size_t count) const;
  /// A row that is not there counts as erased.
  std::vector<Refusal> erase(const void* keys, std::size_t count) const;
  bool get(const void* key, void* value) const;
  /// Visits every row; rows must not be written meanwhile.
  Result<void> read_all(const std::function<void(const void* key, const void* value)>& visit) const;
  int fd() const { return fd_; }

 private:
  Result<void> read_singly(const std::function<void(const void*, const void*)>& visit) const;

  int fd_ = -1;
  std::size_t key_size_ = 0;
  std::size_t value_size_ = 0;
};

/// A map of plain structs without padding, so that rows compare by their octets.
template <class Key, class Value>
class Map {
  static_assert(std::has_unique_object_representations_v<Key> && std::has_unique_object_representations_v<Value>);

 public:
  using Row = std::pair<Key, Value>;

  Map() = default;
  explicit Map(int fd) : raw_(fd, sizeof(Key), sizeof(Value)) {}

  std::vector<Refusal> put(std::span<const Key> keys, std::span<const Value> values) const {
    return raw_.put(keys.data(), values.data(), keys.size());
  }
  bool put(const Key& key, const Value& value) const { return raw_.put(&key, &value, 1).empty(); }
  std::vector<Refusal> erase(std::span<const Key> keys) const { return raw_.erase(keys.data(), keys.size()); }
  void erase(const Key& key) const { raw_.erase(&key, 1); }
  bool get(const Key& key, Value& value) const { return raw_.get(&key, &value); }
  /// As RawMap::read_all.
  template <class Visit>
  Result<void> for_each(Visit visit) const {
    return raw_.read_all([&](const void* key, const void* value) {
      visit(*static_cast<const Key*>(key), *static_cast<const Value*>(value));
    });
  }
  Result<std::vector<Row>> read_all() const {
    std::vector<Row> rows;
    auto read = for_each([&](const Key& key, const Value& value) { rows.emplace_back(key, value); });
    if (!read) return unexpected<Error>(read.error());
    return rows;
  }
  int fd() const { return raw_.fd(); }

 private:
  RawMap raw_;
};

}  // namespace splitnve::host::bpf
