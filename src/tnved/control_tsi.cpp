// SPDX-License-Identifier: Apache-2.0
#include "control_tsi.hpp"

namespace splitnve::tnved {
namespace {

void write_addresses(host::JsonText& row, const TsiView& tsi) {
  row.key("addresses").open('[');
  for (const AddressView& address : tsi.addresses) {
    row.open('{').member("mac", address.mac.to_string()).member("vid", address.vid.value());
    row.member("desired", vdp::to_string(address.desired)).member("confirmed", vdp::to_string(address.confirmed));
    row.member("active", address.confirmed == vdp::Level::kActive).member("held", address.held);
    row.key("priority");
    if (address.priority.is_none())
      row.null();
    else
      row.value(address.priority.pcp());
    daemon::write_ips(row, "ips", address.ips);
    daemon::write_ips(row, "deactivated_ips", address.deactivated_ips);
    row.close('}');
  }
  row.close(']');
}

}  // namespace

void write_tsi(host::JsonText row, const TsiView& tsi, const daemon::TsiNames& names,
               const datapath::InstanceCounters& counters, bool is_closed) {
  row.open('{');
  row.member("instance", tsi.instance.value());
  row.member("vsi", tsi.vsi.to_string());
  row.member("vn", tsi.vn.value());
  row.member("vn_alias", names.vns.of(tsi.vn));
  row.member("interface", tsi.interface_name);
  row.member("guest_tag", tsi.guest_tag.value());
  row.member("uplink", names.ports.of(tsi.uplink));
  row.member("vm", to_string(tsi.vm));
  row.member("migration", vdp::to_string(tsi.migration));
  row.member("state", tsi.state);
  row.member("vid", tsi.vid.value());
  row.member("port_open", tsi.port_open && !is_closed);
  row.member("unconfirmed", tsi.unconfirmed);
  row.member("held", tsi.held);
  row.member("num_of_addr", tsi.addresses.size());
  write_addresses(row, tsi);
  row.member("reason", is_closed ? "interface set down: another tool keeps removing our program (vdpctl kernel show)"
                                 : tsi.reason);
  daemon::write_counters(row, counters);
  row.close('}');
}

}  // namespace splitnve::tnved
