// SPDX-License-Identifier: Apache-2.0
// What many TSIs cost while nothing happens to them: keep-alives, and an operator who looks at them all.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <thread>

#include "benches.hpp"
#include "daemon.hpp"
#include "load.hpp"

namespace splitnve::bench {
namespace {

/// 10 us x 2^20, as in the configurations that bench.sh writes.
constexpr double kKeepaliveInterval = 10.48576;

void sleep_seconds(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

/// Seconds that `vdpctl -j tsi show` takes as a process of its own; what it says goes to `file`.
double vdpctl_show(const Setting& setting, const Daemon& daemon, const std::string& file) {
  const std::string program = setting.build + "/tools/vdpctl/vdpctl";
  const auto begun = Clock::now();
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int out = open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (out < 0 || dup2(out, 1) < 0) _exit(126);
    execl(program.c_str(), program.c_str(), "-j", "-s", daemon.socket().c_str(), "tsi", "show", nullptr);
    _exit(127);
  }
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) give_up("vdpctl -j tsi show failed");
  return seconds_since(begun);
}

std::size_t occurrences(const std::string& file, std::string_view word) {
  std::ifstream stream(file);
  const std::string text((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  std::size_t count = 0;
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + word.size())) ++count;
  return count;
}

std::vector<double> activations_us(const Pair& pair, std::uint32_t first, std::uint32_t count) {
  Client client(pair.tnved.socket());
  std::vector<double> samples;
  for (std::uint32_t n = 0; n < count; ++n) samples.push_back(verb_us(client, "start", first + n));
  return samples;
}

/// An operator who looks at everything, again and again, at one daemon after the other.
class Watcher {
 public:
  Watcher(const Setting& setting, const Pair& pair)
      : thread_([this, &setting, &pair] {
          try {
            for (; !end_; ++shows_) vdpctl_show(setting, shows_ % 2 == 0 ? pair.nnved : pair.tnved, "/dev/null");
          } catch (const std::exception&) {
            failed_ = true;
          }
        }) {}
  ~Watcher() { end(); }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;
  /// How often he has looked.
  unsigned end() {
    end_ = true;
    if (thread_.joinable()) thread_.join();
    return shows_;
  }
  bool failed() const { return failed_; }

 private:
  std::atomic<bool> end_ = false, failed_ = false;
  std::atomic<unsigned> shows_ = 0;
  std::thread thread_;
};

}  // namespace

Report bench_keepalive(const Setting& setting) {
  Report report("keepalive", !setting.smoke);
  report.parameter("tsis", setting.tsis);
  report.parameter("intervals", setting.intervals);
  report.parameter("interval_seconds", kKeepaliveInterval);
  const Pair pair(setting);
  progress("activating");
  pair.load(0, setting.tsis, setting.connections);
  progress("one interval until keep-alives are as they stay");
  if (!setting.smoke) sleep_seconds(kKeepaliveInterval);
  const double renewed = pair.peer_counter("keepalives"), sent = pair.peer_counter("sent");
  const double nnved = pair.nnved.usage().cpu_seconds, tnved = pair.tnved.usage().cpu_seconds;
  const auto begun = Clock::now();
  progress("counting processor time");
  sleep_seconds(setting.smoke ? 1 : setting.intervals * kKeepaliveInterval);
  const double seconds = seconds_since(begun);
  const double nnved_percent = 100 * (pair.nnved.usage().cpu_seconds - nnved) / seconds;
  const double tnved_percent = 100 * (pair.tnved.usage().cpu_seconds - tnved) / seconds;
  const double keepalives = pair.peer_counter("keepalives") - renewed;
  report.at_most("cpu_percent", nnved_percent + tnved_percent, 5);
  report.figure("nnved_cpu_percent", nnved_percent);
  report.figure("tnved_cpu_percent", tnved_percent);
  report.figure("keepalives_per_second", keepalives / seconds);
  report.figure("keepalives_per_ecpdu", keepalives / std::max(1.0, pair.peer_counter("sent") - sent));
  report.require(setting.smoke || keepalives >= setting.tsis * setting.intervals * 0.95,
                 "every TSI was renewed in every interval");
  report.require(pair.all_active(setting.tsis), "both daemons hold every TSI as activated");
  return report;
}

Report bench_control(const Setting& setting) {
  Report report("control", !setting.smoke);
  report.parameter("tsis", setting.tsis);
  report.parameter("samples", setting.samples);
  const Pair pair(setting);
  progress("activating");
  pair.load(0, setting.tsis, setting.connections);
  apply(pair.tnved.socket(), apply_requests(setting.tsis, 2 * setting.samples, "associated"), 1);
  progress("vdpctl -j tsi show");
  const std::string file = setting.work + "/shown.json";
  for (const auto& [key, daemon] :
       {std::pair{"nnved_show_seconds", &pair.nnved}, std::pair{"tnved_show_seconds", &pair.tnved}}) {
    std::vector<double> seconds;
    for (int n = 0; n < 3; ++n) seconds.push_back(vdpctl_show(setting, *daemon, file));
    report.at_most(key, median(seconds), 1);
    report.require(occurrences(file, "\"vsi\"") == setting.tsis + 2 * setting.samples, "vdpctl has told every TSI");
  }
  progress("starting one by one, before and meanwhile");
  auto before = activations_us(pair, setting.tsis, setting.samples);
  Watcher watcher(setting, pair);
  auto meanwhile = activations_us(pair, setting.tsis + setting.samples, setting.samples);
  report.figure("shows_meanwhile", watcher.end());
  report.require(!watcher.failed(), "vdpctl worked meanwhile");
  const double p99_before = percentile(before, 0.99), p99_meanwhile = percentile(meanwhile, 0.99);
  report.baseline("p50_before_us", percentile(before, 0.5));
  report.baseline("p99_before_us", p99_before);
  report.figure("p50_meanwhile_us", percentile(meanwhile, 0.5));
  report.figure("p99_meanwhile_us", p99_meanwhile);
  report.ratio_at_most("p99_ratio", p99_meanwhile / p99_before, 2);
  report.require(pair.all_active(setting.tsis + 2 * setting.samples), "both daemons hold every TSI as activated");
  return report;
}

}  // namespace splitnve::bench
