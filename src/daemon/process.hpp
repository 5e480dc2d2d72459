// SPDX-License-Identifier: Apache-2.0
// A daemon as a process: what it ends with, which signals it survives, and how it says that it cannot start.
#pragma once
#include <cstdint>
#include <string>

#include "settings.hpp"
#include "splitnve/base/result.hpp"
#include "splitnve/base/time.hpp"

namespace splitnve::daemon {

/// The units tell these apart (systemd/): wrong configuration and removed are not started again.
enum class ExitStatus : int { kStopped = 0, kCannotRun = 1, kWrongConfiguration = 2, kRemoved = 3 };

/// Between two starts that fail under systemd, which knows only one pause (RestartSec=): doubled each time.
inline constexpr Duration kStartBackOff = std::chrono::milliseconds(250);
inline constexpr Duration kStartBackOffMax = std::chrono::seconds(10);
/// Failures that are older than this no longer count: somebody has looked after it.
inline constexpr Duration kStartFailureMemory = std::chrono::seconds(60);

/// First of all in main(): no core dump and no debugger of the same user (keys are in memory), and no signal that a
/// daemon survives ends it before its loop can take it.
void prepare_process();

/// Random octets of the kernel (getrandom), so that a restarted agent's first ECP sequences differ from its last
/// life's (S11).
std::uint64_t random_seed();

/// Exit status 2 if the service manager names another instance than the file; one line says so.
bool is_instance(const Settings& settings, const std::string& file, const std::string& instance);

/// What a failed start waits before the process ends, after `failures` others in a row.
Duration start_back_off(unsigned failures);
/// Says why a daemon does not start. Under systemd it then waits for longer each time, so that Restart= does not spin.
/// Returns the exit status.
ExitStatus cannot_start(const std::string& daemon, const Settings& settings, const Error& error);
/// The next failure is the first again.
void forget_failed_starts(const Settings& settings);

}  // namespace splitnve::daemon
