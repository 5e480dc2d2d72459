// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "nnved/agent.hpp"
#include "tnved/agent.hpp"

namespace splitnve::fuzz {

/// What an agent may hand out between two inputs: far above what any input here can cause, far below a runaway.
inline constexpr std::size_t kEffectsPerCallMax = 4096;

/// No key stands twice, what a row names exists, and who owns an address here has its guard and its access row.
void check_rows(const datapath::Rows& rows);
/// The rows, authority rows and records of an nNVE agree with each other; views can be taken.
void check(const nnved::Agent& agent);
void check(const tnved::Agent& agent);

}  // namespace splitnve::fuzz
