// SPDX-License-Identifier: Apache-2.0
#include "bpf_switch_map.hpp"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace splitnve::host::bpf {
namespace {

// The kernel's own ENOTSUPP, which escapes to user space and has no name there.
constexpr int kErrorNotSupported = 524;
// Rows per read: large enough that system calls do not count, small enough (6 MiB) for the flood lists' 1.5 KiB.
constexpr std::uint32_t kReadRows = 4096;

bool lacks_batches(int error) {
  return error == EINVAL || error == ENOSYS || error == EOPNOTSUPP || error == kErrorNotSupported;
}

const void* row_at(const void* rows, std::size_t index, std::size_t size) {
  return static_cast<const std::uint8_t*>(rows) + index * size;
}

// Runs `batch(first, count&) -> errno` until all rows are done, stepping over each row that it refuses. A refusal that
// may mean "no batches here" is judged by `single(index) -> errno`.
template <class Batch, class Single>
std::vector<Refusal> in_batches(std::size_t total, Batch batch, Single single) {
  std::vector<Refusal> refusals;
  bool batches = true;
  for (std::size_t at = 0; at < total;) {
    auto count = static_cast<std::uint32_t>(total - at);
    int error = !batches || count == 1 ? EINVAL : batch(at, count);
    if (error == 0) break;
    const bool judge_singly = lacks_batches(error);  // `count` tells nothing then
    at += judge_singly ? 0 : count;
    if (at >= total) break;
    if (judge_singly) {
      error = single(at);
      if (error == 0) batches = false;
    }
    if (error != 0) refusals.push_back({at, error});
    ++at;
  }
  return refusals;
}

}  // namespace

std::vector<Refusal> RawMap::put(const void* keys, const void* values, std::size_t count) const {
  return in_batches(
      count,
      [&](std::size_t at, std::uint32_t& n) {
        return -bpf_map_update_batch(fd_, row_at(keys, at, key_size_), row_at(values, at, value_size_), &n, nullptr);
      },
      [&](std::size_t at) {
        return -bpf_map_update_elem(fd_, row_at(keys, at, key_size_), row_at(values, at, value_size_), BPF_ANY);
      });
}

std::vector<Refusal> RawMap::erase(const void* keys, std::size_t count) const {
  auto refusals = in_batches(
      count,
      [&](std::size_t at, std::uint32_t& n) {
        return -bpf_map_delete_batch(fd_, row_at(keys, at, key_size_), &n, nullptr);
      },
      [&](std::size_t at) { return -bpf_map_delete_elem(fd_, row_at(keys, at, key_size_)); });
  std::erase_if(refusals, [](const Refusal& refusal) { return refusal.error == ENOENT; });
  return refusals;
}

bool RawMap::get(const void* key, void* value) const { return bpf_map_lookup_elem(fd_, key, value) == 0; }

Result<void> RawMap::read_all(const std::function<void(const void*, const void*)>& visit) const {
  std::uint32_t room = kReadRows;
  std::vector<std::uint8_t> keys(room * key_size_), values(room * value_size_);
  // The cursor is a bucket number for hash maps; a key's size or four octets hold it.
  std::vector<std::uint8_t> from(std::max<std::size_t>(key_size_, 4)), next(from.size());
  bool first = true;
  while (true) {
    std::uint32_t count = room;
    const int error = -bpf_map_lookup_batch(fd_, first ? nullptr : from.data(), next.data(), keys.data(), values.data(),
                                            &count, nullptr);
    if (error == ENOSPC) {  // a bucket longer than our buffer
      room *= 2;
      keys.resize(room * key_size_);
      values.resize(room * value_size_);
      continue;
    }
    if (first && lacks_batches(error)) return read_singly(visit);
    if (error != 0 && error != ENOENT)
      return unexpected<Error>(Error{std::string("cannot read a BPF map: ") + std::strerror(error), "", ""});
    for (std::uint32_t i = 0; i < count; ++i)
      visit(row_at(keys.data(), i, key_size_), row_at(values.data(), i, value_size_));
    if (error == ENOENT) return {};
    std::swap(from, next);
    first = false;
  }
}

Result<void> RawMap::read_singly(const std::function<void(const void*, const void*)>& visit) const {
  std::vector<std::uint8_t> key(key_size_), next(key_size_), value(value_size_);
  for (int error = bpf_map_get_next_key(fd_, nullptr, next.data()); error == 0;
       error = bpf_map_get_next_key(fd_, key.data(), next.data())) {
    key = next;
    if (get(key.data(), value.data())) visit(key.data(), value.data());
  }
  return {};
}

}  // namespace splitnve::host::bpf
