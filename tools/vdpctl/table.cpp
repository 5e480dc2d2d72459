// SPDX-License-Identifier: Apache-2.0
#include "table.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "splitnve/host/log.hpp"

namespace splitnve::vdpctl {
namespace {

using nlohmann::json;

/// Both daemons answer `tsi.show`; their rows differ, and columns that stay empty are left out of the table.
// NOLINTNEXTLINE(readability-function-size): a table
const std::vector<std::pair<std::string_view, std::vector<Column>>>& known_columns() {
  static const std::vector<std::pair<std::string_view, std::vector<Column>>> kColumns = {
      {"tsi.show",
       {{"TSI", "vsi"},
        {"INSTANCE", "instance"},
        {"VN", "vn"},
        {"ALIAS", "vn_alias"},
        {"PORT", "port"},
        {"STATION", "station"},
        {"INTERFACE", "interface"},
        {"GUEST-TAG", "guest_tag"},
        {"UPLINK", "uplink"},
        {"VM", "vm"},
        {"STATE", "state"},
        {"VID", "vid"},
        {"GUARD", "guard"},
        {"OPEN", "port_open"},
        {"UNCONFIRMED", "unconfirmed"},
        {"HELD", "held"},
        {"MIGRATION", "migration"},
        {"SUSPENDED", "suspended"},
        {"SUPERSEDED", "superseded"},
        {"LATCHED", "latched"},
        {"WHERE", "where"},
        {"ADDRESSES", "addresses"},
        {"RX", "rx_frames"},
        {"TX", "tx_frames"},
        {"CLOSED", "dropped_closed"},
        {"STORM", "dropped_storm"},
        {"REASON", "reason"},
        {"LAST-REFUSAL", "last_refusal"}}},
      {"kernel.show",
       {{"PART", "part"}, {"WHERE", "where"}, {"WHAT", "what"}, {"MENDED", "mended"}, {"SECONDS-AGO", "seconds_ago"}}},
      {"vn.show",
       {{"PORT", "port"},
        {"VN", "vn"},
        {"ALIAS", "vn_alias"},
        {"NAME", "vn_name"},
        {"STATE", "state"},
        {"TSIS", "associated_tsis"},
        {"TAG", "local_tag"},
        {"VNI", "vni"},
        {"CONNECTS", "connects"},
        {"CONNECT", "connect"},
        {"REQUEST", "request"},
        {"LATCHED", "latched"},
        {"REASON", "reason"}}},
      {"port.show",
       {{"PORT", "port"},
        {"INTERFACE", "interface"},
        {"UP", "up"},
        {"PEERS", "peers"},
        {"TSIS", "tsis"},
        {"VIDS-FREE", "vids_free"},
        {"SEGMENT", "segment_state"},
        {"ADMIN", "admin"},
        {"SEGMENT-CAUSE", "segment_cause"}}},
      {"evb.show",
       {{"INTERFACE", "interface"},
        {"ROLE", "role"},
        {"STATE", "state"},
        {"LOCAL", "local"},
        {"REMOTE", "remote"},
        {"OPERATIONAL", "operational"},
        {"RWD-ROL", "rwd_rol"},
        {"RKA-ROL", "rka_rol"},
        {"GROUP-IDS", "group_ids"},
        {"RELAY", "reflective_relay"},
        {"NEIGHBOUR", "mac"},
        {"CHASSIS", "chassis"},
        {"PORT", "neighbour_port"},
        {"AGE-MS", "age_ms"},
        {"TTL-S", "ttl_s"}}},
      {"peer.show",
       {{"PORT", "port"},
        {"UPLINK", "uplink"},
        {"STATION", "station"},
        {"NNVE", "nnve"},
        {"USE", "use"},
        {"LINK", "link_up"},
        {"CAPABLE", "capable"},
        {"AUTHENTICATION", "authentication"},
        {"KEY", "key"},
        {"SYSTEM", "system"},
        {"ROLE", "role"},
        {"FLAGS", "flags"},
        {"EPOCH", "epoch"},
        {"GIVEN-UP", "given_up"},
        {"HEARD-MS", "last_heard_ms"},
        {"TSIS", "tsis"},
        {"UNCONFIRMED", "unconfirmed"},
        {"RECEIVED", "ecpdus_received"},
        {"DUPLICATES", "duplicates"},
        {"SENT", "sent"},
        {"RETRANSMITTED", "retransmitted"},
        {"FAILED", "failed"},
        {"REQUESTS", "requests"},
        {"KEEPALIVES", "keepalives"},
        {"REFUSED", "refused"},
        {"TIMEOUTS", "timeouts"}}},
      {"stats.show", {{"GROUP", "group"}, {"COUNTER", "counter"}, {"VALUE", "value"}}},
      {"limits.show",
       {{"PORT", "port"},
        {"WHAT", "what"},
        {"USED", "used"},
        {"SHARE", "share"},
        {"RESERVE", "reserve"},
        {"ALL-PORTS", "all_ports"},
        {"TOTAL", "total"}}},
      {"audit", {{"PLANE", "plane"}, {"ROW", "row"}, {"DIFFERENCE", "difference"}}},
      {"refusal.show",
       {{"AGE-S", "age_s"},
        {"PORT", "port"},
        {"STATION", "station"},
        {"TSI", "vsi"},
        {"VN", "vn"},
        {"CODE", "code"},
        {"REASON", "reason"}}},
  };
  return kColumns;
}

/// Characters a terminal shows, counting a UTF-8 sequence as one.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

/// One line of JSON; text that is no UTF-8 shows replacement characters instead of throwing.
std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

std::string address_cell(const json& address) {
  const auto mac = address.find("mac");
  std::string text = cell(mac == address.end() ? json(dump(address)) : *mac);
  if (address.value("active", false)) text += '*';
  if (const auto ips = address.find("ips"); ips != address.end() && ips->is_array() && !ips->empty())
    text += "(" + cell(*ips) + ")";
  if (const auto off = address.find("deactivated_ips"); off != address.end() && off->is_array() && !off->empty())
    text += "-(" + cell(*off) + ")";
  return text;
}

const json* member(const json& row, const char* key) {
  if (!row.is_object()) return nullptr;
  const auto found = row.find(key);
  return found == row.end() || found->is_null() ? nullptr : &*found;
}

/// EVB values as people speak of them: R/RTE/RWD/RKA.
std::string values_cell(const json& values) {
  std::string text;
  for (const char* key : {"r", "rte", "rwd", "rka"})
    text += (text.empty() ? "" : "/") + dump(values.value(key, json()));
  return text;
}

bool is_filled(const json& row, const char* key) {
  const json* value = member(row, key);
  if (value == nullptr) return false;
  if (value->is_boolean()) return true;
  return !(value->is_string() && value->get_ref<const std::string&>().empty());
}

std::string line_of(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    line += cells[i];
    if (i + 1 < cells.size()) line.append(widths[i] - width(cells[i]) + 2, ' ');
  }
  return line + '\n';
}

/// Known columns that some row fills; for an unknown verb, every member in the order of the rows.
std::vector<std::pair<std::string, std::string>> chosen_columns(std::string_view verb, const std::vector<json>& rows) {
  std::vector<std::pair<std::string, std::string>> chosen;
  const auto& known = columns_of(verb);
  for (const Column& column : known) {
    const auto fills = [&](const json& row) { return is_filled(row, column.key); };
    if (std::any_of(rows.begin(), rows.end(), fills)) chosen.emplace_back(column.heading, column.key);
  }
  if (!known.empty()) return chosen;
  for (const json& row : rows) {
    if (!row.is_object()) continue;
    for (const auto& [key, value] : row.items()) {
      const auto same = [&, &name = key](const auto& column) { return column.second == name; };
      if (std::none_of(chosen.begin(), chosen.end(), same)) chosen.emplace_back(host::printable(key), key);
    }
  }
  return chosen;
}

}  // namespace

const std::vector<Column>& columns_of(std::string_view verb) {
  static const std::vector<Column> kNone;
  for (const auto& [known, columns] : known_columns())
    if (known == verb) return columns;
  return kNone;
}

std::string cell(const json& value) {
  if (value.is_null()) return "-";
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    return text.empty() ? "-" : host::printable(text);
  }
  if (value.is_object() && value.contains("mac")) return address_cell(value);
  if (value.is_object() && value.contains("rka")) return host::printable(values_cell(value));
  if (value.is_object()) return host::printable(dump(value));
  if (!value.is_array()) return host::printable(dump(value));
  std::string joined;
  for (const json& element : value) joined += (joined.empty() ? "" : ",") + cell(element);
  return joined.empty() ? "-" : joined;
}

std::string table(std::string_view verb, const std::vector<json>& rows) {
  if (rows.empty()) return "none\n";
  std::vector<std::vector<std::string>> lines(1);
  const auto columns = chosen_columns(verb, rows);
  for (const auto& [heading, key] : columns) lines.front().push_back(heading);
  for (const json& row : rows) {
    std::vector<std::string>& cells = lines.emplace_back();
    for (const auto& [heading, key] : columns) {
      const json* value = member(row, key.c_str());
      cells.push_back(value == nullptr ? "-" : cell(*value));
    }
  }
  std::vector<std::size_t> widths(columns.size(), 0);
  for (const auto& cells : lines)
    for (std::size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], width(cells[i]));
  std::string text;
  for (const auto& cells : lines) text += line_of(cells, widths);
  return text;
}

}  // namespace splitnve::vdpctl
