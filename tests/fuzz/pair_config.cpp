// SPDX-License-Identifier: Apache-2.0
// How the two agents are configured, what they offer and sign, and what must follow from it.
#include <string_view>

#include "pair.hpp"
#include "splitnve/base/check.hpp"

namespace splitnve::fuzz {
namespace {

constexpr std::uint32_t kFirstVn = 70001;

/// Bits of the first octet; the two highest choose the modes of authentication.
enum Shape : std::uint8_t { kCapable = 1, kLegacy = 2, kNoGroups = 4, kTight = 8, kNoQuarantine = 32 };

std::shared_ptr<const auth::KeyRing> keys() {
  std::array<std::uint8_t, auth::kKeyOctets> secret{};
  secret.fill(0x5A);
  return std::make_shared<auth::KeyRing>(std::vector{auth::Key(auth::KeyId(1), secret)});
}

}  // namespace

/// Of the switch's ports and of the host's uplinks; with `accept` at either end a plain peer is heard.
void Pair::choose_modes(unsigned which) {
  using auth::Mode;
  constexpr Mode kModes[4][2] = {{Mode::kOff, Mode::kOff},
                                 {Mode::kAccept, Mode::kAccept},
                                 {Mode::kAccept, Mode::kRequire},
                                 {Mode::kRequire, Mode::kRequire}};
  const bool plain = (shape_ & kCapable) == 0 || (shape_ & kLegacy) != 0;  // without capabilities no handshake
  switch_mode_ = plain ? Mode::kOff : kModes[which][0];
  host_mode_ = plain ? Mode::kOff : kModes[which][1];
}

/// After the next start the agent understands something else.
void Pair::change_offer(bool is_switch) {
  (is_switch ? switch_offer_ : host_offer_) = vdp::kAble.without(vdp::Flags(choices_.u16()));
}

nnved::AgentConfig Pair::switch_config() const {
  nnved::AgentConfig config;
  config.system[0] = 2;
  config.offer = switch_offer_;
  for (unsigned i = 1; i <= 2; ++i) {
    nnved::PortConfig port;
    port.id = PortId(i);
    port.interface_name = "p" + std::to_string(i);
    port.segment = "s";
    port.mac = switch_mac(port.id);
    port.vids = {Vid(100), Vid((shape_ & kTight) != 0 ? 101 : 199)};
    port.legacy = (shape_ & kLegacy) != 0;
    if (port.legacy) port.static_vids = {{Vid(100), GroupId(kFirstVn)}};
    port.authentication = {switch_mode_, keys()};
    port.takeover = nnved::Takeover::kAny;
    config.ports.push_back(port);
  }
  config.vns.push_back({GroupId(kFirstVn), "blue", "", 1001, {}});
  config.vns.push_back({GroupId(kFirstVn + 1), "red", "", 1002, {}});
  config.types.push_back({ManagerId{}, VsiType{1, 1}, GroupId(kFirstVn)});
  if ((shape_ & kTight) != 0) config.instances_max = config.instances_per_station_max = 4;
  if ((shape_ & kNoQuarantine) != 0) config.vid_quarantine = Duration::zero();
  return config;
}

tnved::AgentConfig Pair::host_config() const {
  tnved::AgentConfig config;
  config.system[0] = 1;
  config.offer = host_offer_;
  for (unsigned i = 1; i <= 2; ++i) {
    tnved::UplinkConfig uplink;
    uplink.id = PortId(i);
    uplink.interface_name = "up" + std::to_string(i);
    uplink.mac = host_mac(uplink.id);
    uplink.vns = {GroupId(kFirstVn + i - 1)};
    if ((shape_ & kNoGroups) != 0) uplink.format = vdp::FilterFormat::kMacVid;
    uplink.legacy = (shape_ & kCapable) == 0;
    uplink.authentication = {host_mode_, keys()};
    config.uplinks.push_back(uplink);
  }
  if ((shape_ & kTight) != 0) config.instances_max = 4;
  return config;
}

/// Where signatures are required, the switch has nothing but what the host was told of: no stranger has the key.
void Pair::check_signed() const {
  if (switch_mode_ != auth::Mode::kRequire) return;
  for (std::uint32_t slot = 0; slot < switch_->tsi_slots(); ++slot) {
    const auto view = switch_->tsi(slot);
    if (!view) continue;
    ensure(view->station == host_mac(view->port), "a TSI of a station that has signed for it");
    ensure(told_.contains(view->vsi), "a TSI that its station was told of");
  }
}

/// At rest: whoever must sign has its session, and what one side says of a TSI is true at the other.
void Pair::check_sessions() const {
  if (host_mode_ != auth::Mode::kRequire) return;  // else a plain stranger may have been heard first
  for (const auto& peer : host_->peers())
    ensure(peer.authentication.state == std::string_view("authenticated"), "nothing stays shut out");
  if (switch_mode_ != auth::Mode::kRequire) return;
  for (std::uint32_t slot = 0; slot < host_->tsi_slots(); ++slot) {
    const auto mine = host_->tsi(slot);
    if (!mine || mine->unconfirmed) continue;
    for (const auto& address : mine->addresses)
      if (address.confirmed == vdp::Level::kActive)
        ensure(active_at_switch(mine->vsi, mine->vn, address.mac), "what is confirmed as active is active");
  }
}

bool Pair::active_at_switch(const VsiId& vsi, GroupId vn, const MacAddress& mac) const {
  for (std::uint32_t slot = 0; slot < switch_->tsi_slots(); ++slot) {
    const auto view = switch_->tsi(slot);
    if (!view || view->vsi != vsi) continue;
    // Without GroupIDs it is the switch that chooses the VN.
    if ((shape_ & kNoGroups) == 0 && view->vn != vn) continue;
    for (const auto& address : view->addresses)
      if (address.mac == mac && address.active) return true;
  }
  return false;
}

}  // namespace splitnve::fuzz
