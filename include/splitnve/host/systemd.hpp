// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdio>
#include <memory>
#include <string>

#include "splitnve/base/time.hpp"

namespace splitnve::host {

class Loop;

/// What systemd is told of the service's life; without systemd these do nothing.
void notify_ready(const std::string& status);
void notify_stopping();
void notify_status(const std::string& status);
/// Whether a service manager waits to be told.
bool has_service_manager();

/// Whether `out` is a stream of the journal, which reads `<N>` at the start of a line as its priority (sd-daemon(3)).
bool is_journal(std::FILE* out);
/// Writes `text` to stderr, line by line and printable; at error priority in the journal: for what goes wrong before
/// there is a log.
void complain(const std::string& text);

/// While it lives, tells systemd's watchdog from the loop, at half the interval the unit asks for (WatchdogSec=), that
/// the loop still turns. Nothing happens when the unit asks for none.
class Watchdog {
 public:
  explicit Watchdog(Loop& loop);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace splitnve::host
