// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/systemd.hpp"

#include <systemd/sd-daemon.h>

#include "splitnve/host/loop.hpp"

namespace splitnve::host {

void notify_ready(const std::string& status) { sd_notify(0, ("READY=1\nSTATUS=" + status).c_str()); }
void notify_stopping() { sd_notify(0, "STOPPING=1"); }

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
