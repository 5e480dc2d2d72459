// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "splitnve/agent/effects.hpp"
#include "splitnve/base/time.hpp"

namespace splitnve::host {

/// Records that may wait for the disk: a switch-over of 100,000 TSIs is written while it happens.
inline constexpr std::size_t kAuditQueueRecordsMax = 65536;
/// How long records are gathered for one write.
inline constexpr Duration kAuditGather = std::chrono::milliseconds(50);
/// The audit file leaves this part of its file system free: the state store needs room more than the past does.
inline constexpr std::uint64_t kAuditSpareDivisor = 16;

struct AuditOptions {
  std::string file;  ///< empty: none is kept
  std::string instance;
  std::uint64_t octets_max = 16 * 1024 * 1024;  ///< of one file; then it becomes `file.1`
  std::uint32_t files = 4;                      ///< with the one that is written
};

struct AuditStats {
  std::uint64_t records = 0;  ///< written
  std::uint64_t lost = 0;     ///< the queue or the disk was full
  std::string failure;        ///< why the last write failed; empty: it did not
};

/// Every transition and notice as a line of JSON in a rotated file (S33, F5), written by a thread of its own: a disk
/// that is slow or full costs records, which are counted in a later one, never the time of who records. Each record has
/// a number, so that a gap is seen.
class AuditFile {
 public:
  explicit AuditFile(const AuditOptions& options);
  ~AuditFile();
  AuditFile(const AuditFile&) = delete;
  AuditFile& operator=(const AuditFile&) = delete;

  void record(agent::Transition transition);
  void record(agent::Notice notice);
  AuditStats stats() const;
  /// Waits until what was recorded so far is in the file, at most so long.
  void flush(Duration patience);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace splitnve::host
