// SPDX-License-Identifier: Apache-2.0
// Any octets as an LLDP frame: decoding stays within them, what it accepts is written again, and a machine of either
// role that hears it keeps its own values as the least it runs with.
#include <cstddef>
#include <cstdint>

#include "splitnve/base/check.hpp"
#include "splitnve/evb/machine.hpp"

namespace {

using namespace splitnve;

void check_accepted(const evb::LldpFrame& frame) {
  OctetString again;
  evb::encode_lldp(frame, again);
  const auto decoded = evb::decode_lldp(again);
  ensure(decoded && *decoded == frame, "what is encoded is decoded");
  static_cast<void>(frame.chassis.to_string(evb::LldpId::kChassisMac));
}

void check_machine(evb::Role role, Octets input) {
  evb::Machine::Config config;
  config.role = role;
  config.own_mac = MacAddress(std::uint64_t{0x0200000000AA});
  config.chassis = {evb::LldpId::kChassisMac, {2, 0, 0, 0, 0, 0xAA}};
  config.port = {evb::LldpId::kPortInterfaceName, {'e'}};
  evb::Machine machine(config);
  Instant now{};
  machine.handle_link(true, now);
  OctetString out;
  for (int i = 0; i < 3; ++i) {
    static_cast<void>(machine.handle_frame(input, now));
    machine.handle_time(now);
    while (machine.poll_frame(out)) ensure(evb::decode_lldp(out).has_value(), "we send what can be decoded");
    while (machine.poll_change()) continue;
    const evb::Operational& runs = machine.operational();
    ensure(runs.values.retries >= 3 && runs.values.rte >= 8 && runs.values.rwd >= 20 && runs.values.rka >= 20,
           "our own values are the least");
    ensure(machine.next_deadline().has_value(), "the next LLDPDU is due some time");
    now += std::chrono::seconds(40000);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Octets input(data, size);
  const auto frame = evb::decode_lldp(input);
  if (frame) {
    check_accepted(*frame);
  } else {
    ensure(frame.error().offset <= size, "an error lies within its frame");
  }
  check_machine(evb::Role::kBridge, input);
  check_machine(evb::Role::kStation, input);
  return 0;
}
