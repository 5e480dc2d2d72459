// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/audit_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <mutex>
#include <variant>

#include "splitnve/host/json_text.hpp"
#include "splitnve/host/log.hpp"
#include "splitnve/host/paths.hpp"
#include "splitnve/host/side_thread.hpp"

namespace splitnve::host {
namespace {

constexpr mode_t kFileMode = 0640;
constexpr unsigned kFolderMode = 0750;
constexpr std::size_t kChunkOctets = 256 * 1024;

using Clock = std::chrono::system_clock;

struct Entry {
  Clock::time_point at;
  std::variant<agent::Transition, agent::Notice> what;
};

std::string time_text(Clock::time_point at) {
  const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
  const std::time_t seconds = since / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[40];
  const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + length, sizeof text - length, ".%03dZ", static_cast<int>(since % 1000));
  return text;
}

void write_subject(JsonText& json, const agent::Subject& subject) {
  if (const auto* vsi = std::get_if<VsiId>(&subject)) {
    json.member("vsi", vsi->to_string());
  } else if (const auto* tsi = std::get_if<agent::TsiSubject>(&subject)) {
    json.member("vsi", tsi->vsi.to_string()).member("vn", tsi->vn.value());
    json.member("port", escape_text(tsi->port)).member("station", tsi->station.to_string());
  } else {
    json.member("subject", escape_text(std::get<std::string>(subject)));
  }
}

const char* level_name(agent::Notice::Level level) {
  switch (level) {
    case agent::Notice::Level::kInfo: return "info";
    case agent::Notice::Level::kWarning: return "warning";
    case agent::Notice::Level::kError: return "error";
  }
  return "error";
}

}  // namespace

struct AuditFile::Impl {
  /// The thread's own; held by it, because it may be left behind in a write.
  struct Writer {
    explicit Writer(AuditOptions the_options) : options(std::move(the_options)) {}
    ~Writer() { close_file(); }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    void consume(std::vector<Entry>& entries, std::uint64_t lost_before) {
      if (!open_file()) return fail(entries.size());
      std::string text;
      std::uint64_t in_text = 0;
      const std::uint64_t lost_now = lost_before + lost_here;
      if (lost_now > lost_told) {
        begin(text, Clock::now(), "lost").member("count", lost_now - lost_told);
        text += "}\n";
      }
      for (const Entry& entry : entries) {
        write_entry(text, entry);
        ++in_text;
        if (text.size() < kChunkOctets) continue;
        put(text, in_text);
        text.clear();
        in_text = 0;
      }
      if (!text.empty()) put(text, in_text);
      if (failure_of_batch.empty()) lost_told = lost_now;
      set_failure(std::exchange(failure_of_batch, {}));
    }

    JsonText begin(std::string& text, Clock::time_point at, const char* event) {
      JsonText json(text);
      json.open('{').member("n", ++number).member("time", time_text(at));
      json.member("instance", options.instance).member("event", event);
      return json;
    }
    void write_entry(std::string& text, const Entry& entry) {
      if (const auto* transition = std::get_if<agent::Transition>(&entry.what)) {
        JsonText json = begin(text, entry.at, "transition");
        json.member("machine", transition->machine);
        write_subject(json, transition->subject);
        json.member("from", transition->from).member("to", transition->to);
        json.member("reason", escape_text(transition->reason));
      } else {
        const auto& notice = std::get<agent::Notice>(entry.what);
        JsonText json = begin(text, entry.at, "notice");
        json.member("id", notice.id).member("level", level_name(notice.level));
        json.member("text", escape_text(notice.text));
      }
      text += "}\n";
    }
    void put(const std::string& text, std::uint64_t count) {
      if (size >= options.octets_max) rotate();
      if (!has_room(text.size())) return lose(count, "the file system is nearly full");
      for (std::size_t done = 0; done < text.size();) {
        const ssize_t written = ::write(fd, text.data() + done, text.size() - done);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) {
          // No half line stays: what follows would not be read.
          if (done > 0 && ftruncate(fd, static_cast<off_t>(size)) != 0) close_file();
          return lose(count, std::strerror(errno));
        }
        done += static_cast<std::size_t>(written);
      }
      size += text.size();
      records += count;
    }
    bool has_room(std::size_t octets) const {
      struct statvfs space{};
      if (fstatvfs(fd, &space) != 0) return true;
      const std::uint64_t unit = space.f_frsize, left = space.f_bavail * unit, all = space.f_blocks * unit;
      return left >= all / kAuditSpareDivisor + octets;
    }
    void lose(std::uint64_t count, const char* cause) {
      lost_here += count;
      failure_of_batch = cause;
    }
    void fail(std::uint64_t count) {
      lost_here += count;
      set_failure(std::exchange(failure_of_batch, {}));
    }

    /// Also finds that the file was moved away by others, such as logrotate.
    bool open_file() {
      struct stat there{}, ours{};
      if (fd >= 0 && stat(options.file.c_str(), &there) == 0 && fstat(fd, &ours) == 0 && there.st_ino == ours.st_ino &&
          there.st_dev == ours.st_dev)
        return true;
      close_file();
      if (auto made = make_parent_folder(options.file, kFolderMode); !made) {
        failure_of_batch = made.error().to_string();
        return false;
      }
      fd = open(options.file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, kFileMode);
      if (fd >= 0 && fstat(fd, &ours) == 0 && S_ISREG(ours.st_mode)) {
        size = static_cast<std::uint64_t>(ours.st_size);
        return true;
      }
      failure_of_batch = fd < 0 ? std::strerror(errno) : "it is no regular file";
      close_file();
      return false;
    }
    void close_file() {
      if (fd >= 0) ::close(fd);
      fd = -1;
    }
    void rotate() {
      close_file();
      const auto name = [&](std::uint32_t n) { return n == 0 ? options.file : options.file + "." + std::to_string(n); };
      if (options.files <= 1) {
        ::unlink(options.file.c_str());
      } else {
        for (std::uint32_t n = options.files - 1; n > 0; --n) ::rename(name(n - 1).c_str(), name(n).c_str());
      }
      open_file();
    }
    void set_failure(std::string cause) {
      const std::lock_guard lock(guard);
      failure = std::move(cause);
    }

    AuditOptions options;
    int fd = -1;
    std::uint64_t size = 0, number = 0, lost_told = 0;
    std::string failure_of_batch;
    std::atomic<std::uint64_t> records{0}, lost_here{0};
    mutable std::mutex guard;  ///< of what follows
    std::string failure;
  };

  explicit Impl(const AuditOptions& options)
      : writer(std::make_shared<Writer>(options)),
        lost_in_queue(std::make_shared<std::atomic<std::uint64_t>>(0)),
        thread("audit", kAuditQueueRecordsMax, kAuditGather,
               [to = writer, lost = lost_in_queue](std::vector<Entry>& entries, const std::atomic<bool>&) {
                 to->consume(entries, *lost);
               }) {}
  void record(Entry entry) {
    if (!thread.push(std::move(entry))) ++*lost_in_queue;
  }

  std::shared_ptr<Writer> writer;
  std::shared_ptr<std::atomic<std::uint64_t>> lost_in_queue;
  SideThread<Entry> thread;
};

AuditFile::AuditFile(const AuditOptions& options) {
  if (!options.file.empty()) impl_ = std::make_unique<Impl>(options);
}
AuditFile::~AuditFile() = default;

void AuditFile::record(agent::Transition transition) {
  if (impl_) impl_->record({Clock::now(), std::move(transition)});
}
void AuditFile::record(agent::Notice notice) {
  if (impl_) impl_->record({Clock::now(), std::move(notice)});
}

AuditStats AuditFile::stats() const {
  if (!impl_) return {};
  const auto& writer = *impl_->writer;
  const std::lock_guard lock(writer.guard);
  return {writer.records, writer.lost_here + *impl_->lost_in_queue, writer.failure};
}

void AuditFile::flush(Duration patience) {
  if (impl_) impl_->thread.flush(patience);
}

}  // namespace splitnve::host
