// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/systemd.hpp"

#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include <cstdlib>
#include <sstream>

#include "splitnve/host/log.hpp"
#include "splitnve/host/loop.hpp"

namespace splitnve::host {

void notify_ready(const std::string& status) { sd_notify(0, ("READY=1\nSTATUS=" + status).c_str()); }
void notify_stopping() { sd_notify(0, "STOPPING=1"); }
void notify_status(const std::string& status) { sd_notify(0, ("STATUS=" + status).c_str()); }
bool has_service_manager() { return std::getenv("NOTIFY_SOCKET") != nullptr; }

// systemd.exec(5): JOURNAL_STREAM holds device and inode of the stream; anything else is a redirected stderr.
bool is_journal(std::FILE* out) {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat info{};
  if (stream == nullptr || fstat(fileno(out), &info) != 0) return false;
  return stream == std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino);
}

void complain(const std::string& text) {
  const char* priority = is_journal(stderr) ? SD_ERR : "";
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) std::fprintf(stderr, "%s%s\n", priority, printable(line).c_str());
}

struct Watchdog::Impl {
  Impl(Loop& loop, Duration every) : interval(every), timer(loop, [this] { beat(); }) { beat(); }
  void beat() {
    sd_notify(0, "WATCHDOG=1");
    timer.arm(Loop::now() + interval);
  }
  Duration interval;
  Timer timer;
};

Watchdog::Watchdog(Loop& loop) {
  std::uint64_t timeout_us = 0;
  if (sd_watchdog_enabled(0, &timeout_us) > 0)
    impl_ = std::make_unique<Impl>(loop, std::chrono::microseconds(timeout_us / 2));
}
Watchdog::~Watchdog() = default;

}  // namespace splitnve::host
