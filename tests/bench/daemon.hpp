// SPDX-License-Identifier: Apache-2.0
// A daemon under test as a bench sees it: a process in a network namespace, a control socket, its memory.
#pragma once
#include <signal.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace splitnve::bench {

/// Throws std::runtime_error with what went wrong: a bench that cannot measure has nothing to report.
[[noreturn]] void give_up(const std::string& what);

/// One connection to a control socket; blocking. Text in, text out: the load must cost less than what is measured.
class Client {
 public:
  explicit Client(const std::string& path);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// The line that ends the request; `rows` counts the lines before it, `matching` those that contain `text`, `first`
  /// is the first of them.
  struct Reply {
    std::string end, first;
    std::size_t rows = 0, matching = 0;
    bool ok() const { return end.find("\"ok\":true") != std::string::npos; }
  };
  /// `request` is one line with its newline.
  Reply call(const std::string& request, const std::string& text = "");

 private:
  int fd_ = -1;
  std::string buffer_;
};

/// Resident memory of its own, and processor time of its threads so far, to the nanosecond.
struct Usage {
  double private_octets = 0;
  double cpu_seconds = 0;
};

class Daemon {
 public:
  /// `program` runs with `config` in the network namespace `netns`; its log is appended to `log`.
  Daemon(std::string program, std::string config, std::string netns, std::string socket, std::string log);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  /// Returns when it has said READY=1 to its service manager (us).
  void start();
  /// Waits for its end.
  void stop(int signal = SIGTERM);
  /// From the next start() on.
  void configure(std::string config) { config_ = std::move(config); }
  Usage usage() const;
  const std::string& socket() const { return socket_; }
  pid_t pid() const { return pid_; }

 private:
  std::string program_, config_, netns_, socket_, log_;
  pid_t pid_ = -1;
};

}  // namespace splitnve::bench
