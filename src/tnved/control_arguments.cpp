// SPDX-License-Identifier: Apache-2.0
#include "control_arguments.hpp"

#include <nlohmann/json.hpp>

#include "daemon/control_rows.hpp"

namespace splitnve::tnved {
namespace {

using nlohmann::json;

unexpected<Error> bad_argument(const std::string& key, const std::string& what, const std::string& remedy) {
  return unexpected<Error>(Error{what, "args." + key, remedy});
}

Result<std::vector<MacAddress>> macs_argument(const json& args) {
  std::vector<MacAddress> macs;
  const auto at = args.find("macs");
  if (at == args.end() || !at->is_array() || at->empty())
    return bad_argument("macs", "no addresses given", "give at least one MAC address");
  if (at->size() > limits::kAddressesPerInstanceMax)
    return bad_argument("macs", "too many addresses", "at most " + std::to_string(limits::kAddressesPerInstanceMax));
  for (const auto& item : *at) {
    const auto mac = item.is_string() ? MacAddress::from_string(item.get<std::string>()) : std::nullopt;
    if (!mac || !mac->is_usable_source())
      return bad_argument("macs", item.dump() + " is no unicast MAC address", "write it like 02:aa:00:00:00:01");
    macs.push_back(*mac);
  }
  return macs;
}

/// `ips`: each `IP`, of the only MAC that is named, or `MAC=IP`; IP may be a prefix.
Result<std::vector<HostIp>> ips_argument(const json& args, const std::vector<MacAddress>& macs) {
  std::vector<HostIp> ips;
  const auto at = args.find("ips");
  if (at == args.end()) return ips;
  if (!at->is_array() || at->size() > limits::kIpsPerInstanceMax)
    return bad_argument("ips", "no list of IP addresses",
                        "an array of at most " + std::to_string(limits::kIpsPerInstanceMax));
  for (const auto& item : *at) {
    const std::string text = item.is_string() ? item.get<std::string>() : "";
    const std::size_t equals = text.find('=');
    const auto mac = equals != std::string::npos ? MacAddress::from_string(text.substr(0, equals))
                     : macs.size() == 1          ? std::optional(macs.front())
                                                 : std::nullopt;
    if (!mac)
      return bad_argument("ips", item.dump() + " does not say whose it is",
                          "write it like 02:aa:00:00:00:01=192.0.2.7");
    const auto ip = IpPrefix::from_string(equals == std::string::npos ? text : text.substr(equals + 1));
    if (!ip || !ip->is_usable_source())
      return bad_argument("ips", item.dump() + " is no IP address that a VM may send from",
                          "an address or a prefix without host bits, like 192.0.2.7 or 2001:db8::/64");
    ips.push_back({*mac, *ip});
  }
  return ips;
}

/// `macs` and `ips`.
template <class Event>
Result<void> read_addresses(const json& args, Event& event) {
  auto macs = macs_argument(args);
  if (!macs) return unexpected<Error>(macs.error());
  event.macs = std::move(*macs);
  auto ips = ips_argument(args, event.macs);
  if (!ips) return unexpected<Error>(ips.error());
  event.ips = std::move(*ips);
  return {};
}

/// Absent or 0: the port is no trunk.
Result<Vid> guest_tag_argument(const json& args) {
  const auto at = args.find("guest_tag");
  if (at == args.end()) return Vid();
  if (!at->is_number_unsigned() || at->get<std::uint64_t>() > 4094)
    return bad_argument("guest_tag", at->dump() + " is no VLAN ID", "1..4094, or leave it out");
  return Vid(at->get<std::uint16_t>());
}

/// Absent: the nNVE is not asked for any.
Result<Priority> priority_argument(const json& args) {
  const auto at = args.find("priority");
  if (at == args.end()) return Priority();
  if (!at->is_number_unsigned() || at->get<std::uint64_t>() > 7)
    return bad_argument("priority", at->dump() + " is no priority", "0..7, or leave it out");
  return Priority(at->get<std::uint8_t>());
}

}  // namespace

Result<VnArgument> vn_argument(const json& args, const AgentConfig& config) {
  const auto at = args.find("vn");
  if (at == args.end()) return bad_argument("vn", "no VN given", "give its alias or id");
  if (at->is_number_unsigned()) {
    const auto value = at->get<std::uint64_t>();
    if (value > 0 && value < (1u << 24)) return VnArgument{GroupId(static_cast<std::uint32_t>(value))};
    return bad_argument("vn", std::to_string(value) + " is no VN ID", "VN IDs are 1..16777215");
  }
  std::string known;
  const auto uuid = at->is_string() ? VsiId::from_uuid(at->get<std::string>()) : std::nullopt;
  for (const auto& vn : config.vns) {
    if (at->is_string() && (*at == vn.alias || *at == std::to_string(vn.id.value()))) return VnArgument{vn.id};
    if (uuid && vn.name == vdp::VnName{uuid->octets}) return VnArgument{vn.id};
    known += (known.empty() ? "" : ", ") + vn.alias;
  }
  if (uuid) return VnArgument{GroupId(), vdp::VnName{uuid->octets}};
  return bad_argument("vn", "no VN " + at->dump() + " in the configuration",
                      "known: " + known + "; or give the id as a number, or a name (UUID)");
}

Result<AddressEvent> address_event_from(AddressVerb verb, const json& args, const AgentConfig& config) {
  AddressEvent event;
  event.verb = verb;
  const auto vsi = daemon::vsi_argument(args);
  if (!vsi) return unexpected<Error>(vsi.error());
  event.vsi = *vsi;
  if (args.contains("vn")) {
    const auto vn = vn_argument(args, config);
    if (!vn) return unexpected<Error>(vn.error());
    if (vn->name) return bad_argument("vn", "no VN of this name in the configuration", "give its alias or id");
    event.vn = vn->vn;
  }
  if (const auto read = read_addresses(args, event); !read) return unexpected<Error>(read.error());
  if (verb != AddressVerb::kChangeIp) return event;
  if (event.ips.size() != 1) return bad_argument("ips", "names no single IP", "the one that is to be changed");
  const auto to = args.find("to");
  const auto ip = to != args.end() && to->is_string() ? IpPrefix::from_string(to->get<std::string>()) : std::nullopt;
  if (!ip) return bad_argument("to", "no IP address or prefix", "what shall take its place, such as 192.0.2.8");
  event.to = *ip;
  return event;
}

/// The interface name may come with any verb; guest tag, VN and addresses describe the TSI.
Result<LifecycleEvent> event_from(Verb verb, const json& args, const AgentConfig& config) {
  LifecycleEvent event;
  event.verb = verb;
  const auto vsi = daemon::vsi_argument(args);
  if (!vsi) return unexpected<Error>(vsi.error());
  event.vsi = *vsi;
  event.interface_name = args.value("interface", "");
  if (event.interface_name.size() > 15)
    return bad_argument("interface", "no interface has a name this long", "at most 15 characters");
  if (verb != Verb::kCreate && verb != Verb::kMigrateIn) return event;
  const auto vn = vn_argument(args, config);
  if (!vn) return unexpected<Error>(vn.error());
  event.vn = vn->vn;
  event.vn_name = vn->name;
  if (const auto read = read_addresses(args, event); !read) return unexpected<Error>(read.error());
  const auto tag = guest_tag_argument(args);
  if (!tag) return unexpected<Error>(tag.error());
  event.guest_tag = *tag;
  const auto priority = priority_argument(args);
  if (!priority) return unexpected<Error>(priority.error());
  event.priority = *priority;
  const std::string migration = args.value("migration", "no");
  if (migration != "no" && migration != "unknown")
    return bad_argument("migration", "\"" + migration + "\" says nothing of a migration",
                        "no, or unknown; migrate-in and migrate-out tell the rest");
  event.migration_unknown = migration == "unknown";
  event.replace = args.value("replace", false);
  return event;
}

}  // namespace splitnve::tnved
