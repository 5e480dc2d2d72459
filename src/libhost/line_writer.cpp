// SPDX-License-Identifier: Apache-2.0
#include "line_writer.hpp"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <utility>

#include "splitnve/host/side_thread.hpp"

namespace splitnve::host {
namespace {

/// A pipe that is ready takes this much without waiting (pipe(7)).
constexpr std::size_t kChunkOctets = PIPE_BUF;
/// How often a reader that has stopped is looked at, and whether it is time to end.
constexpr int kLookMs = 100;

}  // namespace

/// Also held by the thread, which may be left behind in a write.
struct LineWriter::Impl {
  struct Stream {
    explicit Stream(std::FILE* the_out) : out(the_out), fd(fileno(the_out)) {}

    void consume(std::vector<std::string>& lines, const std::atomic<bool>& hurry) {
      std::string chunk;
      std::uint64_t in_chunk = 0;
      for (std::string& line : lines) {
        octets -= line.size();
        if (!chunk.empty() && chunk.size() + line.size() > kChunkOctets) {
          put(chunk, in_chunk, hurry);
          chunk.clear();
          in_chunk = 0;
        }
        chunk += line;
        ++in_chunk;
      }
      if (in_chunk > 0) put(chunk, in_chunk, hurry);
    }
    void put(const std::string& chunk, std::uint64_t count, const std::atomic<bool>& hurry) {
      if (!put_all(chunk, hurry)) lost += count;
    }
    bool put_all(const std::string& chunk, const std::atomic<bool>& hurry) {
      if (fd < 0) return std::fwrite(chunk.data(), 1, chunk.size(), out) == chunk.size() && std::fflush(out) == 0;
      for (std::size_t done = 0; done < chunk.size();) {
        pollfd ready{fd, POLLOUT, 0};
        const int count = poll(&ready, 1, kLookMs);
        if (count == 0 && hurry) return false;
        if (count <= 0) continue;
        const ssize_t written = ::write(fd, chunk.data() + done, chunk.size() - done);
        if (written < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (written < 0) return false;
        done += static_cast<std::size_t>(written);
      }
      return true;
    }

    std::FILE* out;
    int fd;  ///< -1: the stream is in memory
    std::atomic<std::size_t> octets{0};
    std::atomic<std::uint64_t> lost{0};
  };

  explicit Impl(std::FILE* out)
      : stream(std::make_shared<Stream>(out)),
        thread("log", kLogQueueLinesMax, Duration{},
               [to = stream](std::vector<std::string>& lines, const std::atomic<bool>& hurry) {
                 to->consume(lines, hurry);
               }) {}

  std::shared_ptr<Stream> stream;
  SideThread<std::string> thread;
};

LineWriter::LineWriter(std::FILE* out) : impl_(std::make_unique<Impl>(out)) {}
LineWriter::~LineWriter() = default;

bool LineWriter::write(std::string line) {
  auto& stream = *impl_->stream;
  const std::size_t size = line.size();
  if (stream.octets + size > kLogQueueOctetsMax) {
    ++stream.lost;
    return false;
  }
  stream.octets += size;
  if (impl_->thread.push(std::move(line))) return true;
  stream.octets -= size;
  return false;
}

void LineWriter::flush(Duration patience) { impl_->thread.flush(patience); }
std::uint64_t LineWriter::lost() const { return impl_->stream->lost + impl_->thread.lost(); }

}  // namespace splitnve::host
