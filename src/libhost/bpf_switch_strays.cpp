// SPDX-License-Identifier: Apache-2.0
// Sources that an access port refuses because they are nobody's there (bpf/switch_stray.h).
#include <bpf/libbpf.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "bpf_switch_state.hpp"

namespace splitnve::host {

void BpfSwitch::State::RingFree::operator()(ring_buffer* ring) const { ring_buffer__free(ring); }

int BpfSwitch::State::take_stray(void* state, void* octets, std::size_t size) {
  auto& self = *static_cast<State*>(state);
  bpf::switch_stray stray{};
  if (size < sizeof stray) return 0;
  std::memcpy(&stray, octets, sizeof stray);
  const auto port = self.ports.port_of(stray.ifindex);
  if (!port || !self.tell_stray) return 0;
  std::array<std::uint8_t, 6> mac{};
  std::ranges::copy(stray.mac, mac.begin());
  self.tell_stray(Stray{*port, Vid(static_cast<std::uint16_t>(stray.vid)), MacAddress(mac)});
  return 0;
}

int BpfSwitch::strays_fd() const {
  if (!state_) return -1;
  if (!state_->strays)
    state_->strays.reset(ring_buffer__new(state_->maps().strays_fd, &State::take_stray, state_.get(), nullptr));
  return state_->strays ? ring_buffer__epoll_fd(state_->strays.get()) : -1;
}

void BpfSwitch::drain_strays(const std::function<void(const Stray&)>& tell) {
  if (!state_ || !state_->strays) return;
  state_->tell_stray = tell;
  ring_buffer__consume(state_->strays.get());
  state_->tell_stray = nullptr;
}

}  // namespace splitnve::host
