// SPDX-License-Identifier: Apache-2.0
// Any text as the configuration file of either daemon: read to the end, every complaint located, and what is accepted
// makes an agent.
#include <cstddef>
#include <cstdint>
#include <string>

#include "invariants.hpp"
#include "nnved/config_file.hpp"
#include "splitnve/base/check.hpp"
#include "tnved/config_file.hpp"

namespace {

using splitnve::ensure;

constexpr const char* kName = "fuzz.jsonc";

template <class Agent, class Config>
void check_read(const Config& config) {
  if (!config) {
    ensure(!config.error().empty(), "a refusal says why");
    for (const auto& error : config.error()) {
      ensure(!error.what.empty(), "a complaint says what");
      ensure(error.where.starts_with(kName), "a complaint says where");
    }
    return;
  }
  Agent agent(config->agent, 1);
  splitnve::fuzz::check(agent);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  check_read<splitnve::nnved::Agent>(splitnve::nnved::parse_config(text, kName));
  check_read<splitnve::tnved::Agent>(splitnve::tnved::parse_config(text, kName));
  return 0;
}
