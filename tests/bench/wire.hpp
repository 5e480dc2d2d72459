// SPDX-License-Identifier: Apache-2.0
// The machine's own speed: raw frames between two processes over a veth pair.
#pragma once
#include <string>
#include <vector>

namespace splitnve::bench {

/// Microseconds of each of `rounds` round trips of frames of `octets` octets (without FCS): a process sends one on
/// `here`, another one waits for it on `there` and sends it back. Empty if a socket cannot be opened (stderr says why).
std::vector<double> round_trips_us(const std::string& here, const std::string& there, std::size_t octets,
                                   std::size_t rounds);

}  // namespace splitnve::bench
