// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <utility>

#include "splitnve/agent/effects.hpp"

namespace splitnve::nnved {

/// The queue of effects, and the two ways in which the machines speak into it.
class Journal {
 public:
  void transition(const char* machine, agent::Subject subject, const char* from, const char* to, std::string reason) {
    effects.push_back(agent::Transition{machine, std::move(subject), from, to, std::move(reason)});
  }
  void notice(const char* id, agent::Notice::Level level, std::string text) {
    effects.push_back(agent::Notice{id, level, std::move(text)});
  }
  agent::EffectQueue effects;
};

}  // namespace splitnve::nnved
