// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "splitnve/base/time.hpp"

namespace splitnve::host {

/// Lines, and their octets, that may wait for a reader who is slow: some seconds of the most that the log admits.
inline constexpr std::size_t kLogQueueLinesMax = 8192;
inline constexpr std::size_t kLogQueueOctetsMax = 4 * 1024 * 1024;

/// Writes lines to a stream from a thread of its own (S42): a reader that stops or ends costs lines, which are counted,
/// never the time of who writes. Thread-safe.
class LineWriter {
 public:
  /// `out` outlives the writer.
  explicit LineWriter(std::FILE* out);
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  /// False: too much waits, the line is lost.
  bool write(std::string line);
  /// Waits until what was written so far has left, at most so long.
  void flush(Duration patience);
  /// Lines that nobody got: too much waited, or the reader has ended.
  std::uint64_t lost() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace splitnve::host
