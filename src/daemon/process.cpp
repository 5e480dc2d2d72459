// SPDX-License-Identifier: Apache-2.0
#include "process.hpp"

#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "splitnve/base/check.hpp"
#include "splitnve/host/systemd.hpp"

namespace splitnve::daemon {
namespace {

namespace fs = std::filesystem;

/// Where the failed starts in a row are counted; gone with the next boot, like the socket beside it.
fs::path failures_file(const Settings& settings) {
  return fs::path(settings.paths.control_socket).replace_extension(".failures");
}

unsigned failures_so_far(const fs::path& file) {
  std::error_code absent;
  const auto written = fs::last_write_time(file, absent);
  if (absent || fs::file_time_type::clock::now() - written > kStartFailureMemory) return 0;
  unsigned failures = 0;
  std::ifstream(file) >> failures;
  return failures;
}

}  // namespace

void prepare_process() {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  // Descriptors for every connection of the control socket; what the unit or shell allows at most is theirs to say.
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  for (const int number : {SIGPIPE, SIGHUP, SIGUSR1, SIGUSR2}) std::signal(number, SIG_IGN);
}

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  ssize_t got = 0;
  do got = ::getrandom(&seed, sizeof seed, 0);
  while (got < 0 && errno == EINTR);
  ensure(got == static_cast<ssize_t>(sizeof seed), "the kernel has random octets");
  return seed;
}

bool is_instance(const Settings& settings, const std::string& file, const std::string& instance) {
  if (instance.empty() || instance == settings.instance) return true;
  host::complain(Error{"the file names the instance \"" + settings.instance + "\", the service is \"" + instance + "\"",
                       file, "correct \"instance\", or start the service of that name"}
                     .to_string());
  return false;
}

Duration start_back_off(unsigned failures) {
  if (failures == 0) return Duration::zero();
  return std::min(kStartBackOff * (1U << std::min(failures - 1, 16U)), kStartBackOffMax);
}

ExitStatus cannot_start(const std::string& daemon, const Settings& settings, const Error& error) {
  host::complain(daemon + ": " + error.to_string());
  if (!host::has_service_manager()) return ExitStatus::kCannotRun;
  const fs::path file = failures_file(settings);
  const unsigned failures = failures_so_far(file);
  std::ofstream(file, std::ios::trunc) << failures + 1 << '\n';
  host::notify_status("cannot start: " + error.to_string());
  std::this_thread::sleep_for(start_back_off(failures));
  return ExitStatus::kCannotRun;
}

void forget_failed_starts(const Settings& settings) {
  std::error_code absent;
  fs::remove(failures_file(settings), absent);
}

}  // namespace splitnve::daemon
