// SPDX-License-Identifier: Apache-2.0
#include "control_tsi.hpp"

#include "reason.hpp"

namespace splitnve::nnved {
namespace {

void write_addresses(host::JsonText& row, const TsiView& tsi) {
  row.key("addresses").open('[');
  for (const AddressView& address : tsi.addresses) {
    row.open('{').member("mac", address.mac.to_string()).member("vid", address.vid.value());
    row.member("active", address.active).member("superseded", address.superseded);
    daemon::write_ips(row, "ips", address.ips);
    daemon::write_ips(row, "deactivated_ips", address.deactivated_ips);
    row.member("source", "signalled").close('}');
  }
  row.close(']');
}

}  // namespace

std::string lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

void write_tsi(host::JsonText row, const TsiView& tsi, const daemon::TsiNames& names,
               const datapath::InstanceCounters& counters, const std::string& latched) {
  row.open('{');
  row.member("instance", tsi.instance.value());
  row.member("vsi", tsi.vsi.to_string());
  row.member("vsi_format", tsi.vsi.format);
  row.member("type_id", tsi.type.id);
  row.member("type_version", tsi.type.version);
  row.member("vn", tsi.vn.value());
  row.member("vn_alias", names.vns.of(tsi.vn));
  row.member("port", names.ports.of(tsi.port));
  row.member("station", tsi.station.to_string());
  row.member("state", lower_case(to_string(tsi.state)));
  row.member("vid", tsi.vid.value());
  row.member("guard", tsi.guarded ? "mac" : "none");
  row.member("migration", vdp::to_string(tsi.migration));
  row.member("migrating", tsi.migration == vdp::Migration::kArriving);
  row.member("suspended", tsi.suspended);
  row.member("superseded", tsi.superseded);
  if (!latched.empty()) row.member("latched", true);
  row.member("num_of_addr", tsi.addresses.size());
  write_addresses(row, tsi);
  row.member("last_refusal", latched.empty() ? tsi.last_refusal : latched);
  daemon::write_counters(row, counters);
  row.close('}');
}

void write_latch(host::JsonText row, const LatchView& latch, const daemon::TsiNames& names) {
  row.open('{');
  row.member("instance", 0u);
  row.member("vsi", latch.vsi->to_string());
  row.member("vn", latch.vn.value());
  row.member("vn_alias", names.vns.of(latch.vn));
  row.member("state", lower_case(to_string(TsiState::kInit)));
  row.member("latched", true);
  row.key("addresses").open('[').close(']');
  row.member("last_refusal", words(Reason::kAdminDown, latch.reason));
  row.close('}');
}

}  // namespace splitnve::nnved
