// SPDX-License-Identifier: Apache-2.0
#include "request.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <memory>

#include "splitnve/base/ids.hpp"
#include "splitnve/base/ip.hpp"

namespace splitnve::vdpctl {
namespace {

using nlohmann::json;

/// What options of all verbs fill; each verb takes the members it declared.
struct Options {
  std::string vsi, vn, interface_name, reason, file, apply_file;
  std::vector<std::string> macs, ips;
  std::uint32_t guest_tag = 0, timeout_ms = 0;
  std::string port, migration, to;
  std::optional<unsigned> priority;
  bool fix = false, remove = false, all = false, replace = false;
};

const CLI::Validator& is_uuid() {
  static const CLI::Validator kCheck(
      [](const std::string& text) {
        return VsiId::from_uuid(text) ? std::string() : "'" + text + "' is no UUID (8-4-4-4-12 hexadecimal digits)";
      },
      "UUID");
  return kCheck;
}

bool is_number(const std::string& text) {
  return !text.empty() && text.size() <= 9 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// A TSI as people name it: its VSI-ID as `tsi show` has it (a UUID, mostly), or the instance number of `tsi show`.
const CLI::Validator& is_tsi() {
  static const CLI::Validator kCheck(
      [](const std::string& text) {
        return VsiId::from_string(text) || (is_number(text) && std::stoul(text) > 0)
                   ? std::string()
                   : "'" + text + "' is neither a VSI-ID nor an instance number of `tsi show`";
      },
      "UUID|INSTANCE");
  return kCheck;
}

const CLI::Validator& is_mac() {
  static const CLI::Validator kCheck(
      [](const std::string& text) {
        const auto mac = MacAddress::from_string(text);
        if (!mac) return "'" + text + "' is no MAC address (02:aa:00:00:00:01)";
        return mac->is_usable_source() ? std::string() : "'" + text + "' is no unicast MAC address";
      },
      "MAC");
  return kCheck;
}

const CLI::Validator& is_ip() {
  static const CLI::Validator kCheck(
      [](const std::string& text) {
        const std::size_t equals = text.find('=');
        const bool mac = equals == std::string::npos || MacAddress::from_string(text.substr(0, equals));
        const bool ip = IpPrefix::from_string(equals == std::string::npos ? text : text.substr(equals + 1)).has_value();
        return mac && ip ? std::string()
                         : "'" + text + "' is no IP address or prefix, or MAC=IP (192.0.2.7, 2001:db8::/64)";
      },
      "[MAC=]IP");
  return kCheck;
}

/// A VN goes out as its number if it is one, else as its alias.
json vn_of(const std::string& text) { return is_number(text) ? json(std::stoul(text)) : json(text); }

json args_of(const Options& options) {
  json args = json::object();
  if (is_number(options.vsi))
    args["instance"] = std::stoul(options.vsi);
  else if (!options.vsi.empty())
    args["vsi"] = options.vsi;
  if (!options.vn.empty()) args["vn"] = vn_of(options.vn);
  if (!options.macs.empty()) args["macs"] = options.macs;
  if (!options.ips.empty()) args["ips"] = options.ips;
  if (!options.to.empty()) args["to"] = options.to;
  if (!options.interface_name.empty()) args["interface"] = options.interface_name;
  if (options.guest_tag != 0) args["guest_tag"] = options.guest_tag;
  if (options.priority) args["priority"] = *options.priority;
  if (!options.reason.empty()) args["reason"] = options.reason;
  if (options.fix) args["fix"] = true;
  if (options.remove) args["remove"] = true;
  if (options.all) args["all"] = true;
  if (options.replace) args["replace"] = true;
  if (!options.port.empty()) args["port"] = options.port;
  if (!options.migration.empty()) args["migration"] = options.migration;
  return args;
}

void add_interface(CLI::App& verb, Options& options) {
  verb.add_option("--interface", options.interface_name, "the VM's tap or veth");
  verb.add_option("--timeout-ms", options.timeout_ms, "the same as --timeout, in milliseconds")
      ->check(CLI::Range(1, 600000));
}

void add_ips(CLI::App& verb, Options& options, const char* help) {
  verb.add_option("--ip", options.ips, help)->check(is_ip())->take_all()->expected(1, -1);
}

/// `create` and `migrate-in` carry the description of the TSI.
void add_description(CLI::App& verb, Options& options) {
  verb.add_option("--vn", options.vn, "the virtual network: alias, ID or name (UUID)")->required();
  verb.add_option("--mac", options.macs, "an address of the VM; may be repeated")
      ->required()
      ->check(is_mac())
      ->take_all()
      ->expected(1, -1);
  add_ips(verb, options, "an IP or prefix that the VM may send from, of the only --mac or as MAC=IP; may be repeated");
  verb.add_option("--guest-tag", options.guest_tag, "the tag that the guest itself uses on a trunk interface")
      ->check(CLI::Range(1, 4094));
  verb.add_option("--priority", options.priority, "PCP of its frames on the link; the nNVE has the last word")
      ->check(CLI::Range(0, 7));
  verb.add_option("--migration", options.migration, "`unknown` if whoever calls could not tell a migration")
      ->check(CLI::IsMember({"no", "unknown"}));
  add_interface(verb, options);
}

void add_create(CLI::App& verb, Options& options) {
  add_description(verb, options);
  verb.add_flag("--replace", options.replace,
                "change addresses and interface of a VM in use to these; what is not named is cut off");
}

/// The addresses that an address verb names; `--vn` only makes sure.
void add_addresses(CLI::App& verb, Options& options) {
  verb.add_option("--vn", options.vn, "refuse unless the TSI is in this virtual network");
  verb.add_option("--mac", options.macs, "an address; may be repeated")
      ->required()
      ->check(is_mac())
      ->take_all()
      ->expected(1, -1);
}

/// With IPs these are meant, and their MAC stays as it is.
void add_addresses_and_ips(CLI::App& verb, Options& options) {
  add_addresses(verb, options);
  add_ips(verb, options, "an IP or prefix of the only --mac, or MAC=IP; may be repeated");
}

void add_ip_change(CLI::App& verb, Options& options) {
  verb.add_option("--vn", options.vn, "refuse unless the TSI is in this virtual network");
  verb.add_option("--mac", options.macs, "whose IP changes")->required()->check(is_mac())->expected(1);
  verb.add_option("--ip", options.ips, "the IP or prefix that it has")->required()->check(is_ip())->expected(1);
  verb.add_option("--to", options.to, "the one that it gets, of the same family")->required()->check(is_ip());
}

void add_tsi_verbs(CLI::App& tsi, Options& options) {
  struct Known {
    const char* name;
    const char* help;
    void (*add)(CLI::App&, Options&);
  };
  static constexpr Known kVerbs[] = {
      {"create", "reserve: associate a TSI before its VM runs", add_create},
      {"start", "activate: returns when traffic may flow", add_interface},
      {"pause", "the vCPUs stop; nothing changes on the network", nullptr},
      {"suspend", "deactivate: reserved, not forwarding", nullptr},
      {"resume", "activate again, or let an arrived VM run", add_interface},
      {"shutdown", "de-associate and forget", nullptr},
      {"migrate-out", "the VM is about to leave: still forwarding, marked", nullptr},
      {"migrate-in", "the VM arrives: reserve here, forward after resume", add_description},
      {"add-address", "one more address of a live TSI; its others go on", add_addresses_and_ips},
      {"remove-address", "remove an address; without any IP of a family the MAC may send from all of it",
       add_addresses_and_ips},
      {"deactivate-address", "reserved, not forwarding, whatever the VM does", add_addresses_and_ips},
      {"activate-address", "the address follows the VM again", add_addresses_and_ips},
      {"change-ip", "replace one IP by another: the old one goes when the new one is in place", add_ip_change},
      {"abort", "the migration failed: the source stays, the destination forgets", nullptr},
  };
  for (const Known& known : kVerbs) {
    CLI::App* verb = tsi.add_subcommand(known.name, known.help);
    const bool names_new = known.add == add_description || known.add == add_create;
    verb->add_option("TSI", options.vsi, names_new ? "its UUID" : "its VSI-ID or instance number, as tsi show has it")
        ->required()
        ->check(names_new ? is_uuid() : is_tsi());
    if (known.add != nullptr) known.add(*verb, options);
  }
  CLI::App* remove = tsi.add_subcommand("remove", "nnved: de-associate an instance at its station and remove it");
  remove->add_option("TSI", options.vsi, "its instance number or VSI-ID, as tsi show has it")
      ->required()
      ->check(is_tsi());
  remove->add_option("--vn", options.vn, "with a UUID that is in several VNs: this one");
  remove->add_option("--reason", options.reason, "what log and station shall say");
  CLI::App* deactivate =
      tsi.add_subcommand("deactivate", "nnved: close addresses of an instance, reserved until `release`");
  deactivate->add_option("TSI", options.vsi, "its instance number or VSI-ID, as tsi show has it")
      ->required()
      ->check(is_tsi());
  deactivate->add_option("--vn", options.vn, "with a UUID that is in several VNs: this one");
  deactivate->add_option("--mac", options.macs, "this address only; may be repeated")
      ->check(is_mac())
      ->take_all()
      ->expected(1, -1);
  deactivate->add_option("--reason", options.reason, "what log and station shall say");
  CLI::App* release = tsi.add_subcommand("release", "nnved: let a removed or deactivated TSI come back");
  release->add_option("TSI", options.vsi, "its VSI-ID or instance number, as tsi show has it")
      ->required()
      ->check(is_tsi());
  release->add_option("--vn", options.vn, "in this VN only: alias or ID");
  tsi.add_subcommand("apply", "tnved: bring every TSI of a file to the state it names")
      ->add_option("FILE", options.apply_file, "a JSON array of {vsi, vn, macs, ips, interface, guest_tag, state}")
      ->required();
}

void add_vn_verbs(CLI::App& vn, Options& options) {
  const auto add = [&](const char* name, const char* help) {
    CLI::App* verb = vn.add_subcommand(name, help);
    verb->add_option("VN,--vn", options.vn, "the virtual network: alias, ID or name (UUID)")->required();
    return verb;
  };
  const auto at_port = [&](CLI::App* verb) {
    return verb->add_option("--port", options.port, "nnved: the access port's interface");
  };
  add("connect", "tnved: have the switch connect a VN, whether there are TSIs or not");
  CLI::App* disconnect =
      add("disconnect", "nnved: take a VN on a port out of service, until it is released; tnved: no longer connect it");
  at_port(disconnect);
  disconnect->add_option("--reason", options.reason, "nnved: what log and refusals shall say");
  disconnect->add_flag("--all", options.all, "tnved: with the TSIs that are in it");
  at_port(add("release", "nnved: let a disconnected VN be joined again"))->required();
}

void add_port_verbs(CLI::App& port, Options& options) {
  port.add_subcommand("use", "tnved: move the VNs that an uplink stands by for to it")
      ->add_option("INTERFACE", options.port, "the uplink's interface")
      ->required();
}

void add_daemon_verbs(CLI::App& app, Options& options) {
  app.add_subcommand("audit", "compare what shall be with datapath, authority and store; exit 1 while they differ")
      ->add_flag("--fix", options.fix, "make them right");
  app.add_subcommand("drain", "de-associate every TSI and refuse new ones; tnved forgets its TSIs")
      ->add_flag("--remove", options.remove, "then remove programs and pins, and end the daemon");
  app.add_subcommand("undrain", "take TSIs again");
}

/// CLI11 says only that a command is missing where it met a word that is none. True if there was one.
bool tell_unknown_command(const CLI::App& app) {
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  const auto known = at->get_subcommands([](const CLI::App*) { return true; });
  const auto left = app.remaining(true);
  if (known.empty() || left.empty()) return false;
  std::string names;
  for (const CLI::App* command : known) names += (names.empty() ? "" : ", ") + command->get_name();
  std::cerr << at->get_name() << ": no command '" << left.front() << "'; there are " << names << "\n";
  return true;
}

}  // namespace

std::variant<Request, Exit> parse(int argc, const char* const* argv) {
  Request request;
  Options options;
  CLI::App app("Talk to nnved and tnved. Exit: 0 done, 1 refused or failed, 2 usage.", "vdpctl");
  app.set_version_flag("--version", std::string("vdpctl ") + SPLITNVE_VERSION);
  app.add_flag("-j,--json", request.json_output, "machine-readable output: one JSON array, or the result object");
  app.add_option("-s,--socket", request.socket, "control socket or instance name (default: the only one on this host)");
  double timeout_s = 0;
  app.add_option("--timeout", timeout_s, "seconds without a word of the daemon after which to give up (default: 30)")
      ->check(CLI::Range(0.01, 3600.0));
  app.fallthrough();  // these options may also stand behind the verb
  app.require_subcommand(1);
  for (const char* name : {"tsi", "vn", "port", "peer", "evb", "stats", "refusal", "limits", "kernel"}) {
    CLI::App* object = app.add_subcommand(name);
    object->require_subcommand(1);
    object->add_subcommand("show", "list what the daemon knows");
  }
  add_tsi_verbs(*app.get_subcommand("tsi"), options);
  add_vn_verbs(*app.get_subcommand("vn"), options);
  add_port_verbs(*app.get_subcommand("port"), options);
  add_daemon_verbs(app, options);
  CLI::App* config = app.add_subcommand("config", "configuration files");
  config->require_subcommand(1);
  config->add_subcommand("check", "the daemon's own check, without starting it")
      ->add_option("FILE", options.file, "the configuration")
      ->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (tell_unknown_command(app)) return Exit::kUsage;
    return app.exit(error) == 0 ? Exit::kOk : Exit::kUsage;
  }
  const CLI::App* object = app.get_subcommands().front();
  request.verb = object->get_name();
  if (!object->get_subcommands().empty()) request.verb += "." + object->get_subcommands().front()->get_name();
  request.args = args_of(options);
  if (timeout_s > 0) request.silence_max = std::chrono::milliseconds(static_cast<std::int64_t>(timeout_s * 1000));
  if (options.timeout_ms != 0) request.silence_max = std::chrono::milliseconds(options.timeout_ms);
  request.check_file = options.file;
  request.apply_file = options.apply_file;
  return request;
}

SocketChoice choose_socket(const std::string& given, const std::string& folder) {
  if (!given.empty()) return {given.find('/') == std::string::npos ? folder + "/" + given + ".sock" : given, ""};
  std::vector<std::string> found;
  std::error_code ignored;  // an absent folder has no sockets
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored))
    if (entry.path().extension() == ".sock") found.push_back(entry.path().stem().string());
  if (found.size() == 1) return {folder + "/" + found.front() + ".sock", ""};
  if (found.empty())
    return {"", "no daemon runs here (no socket in " + folder + "): start nnved or tnved, or name a socket with -s"};
  std::sort(found.begin(), found.end());
  std::string names;
  for (const std::string& name : found) names += " " + name;
  return {"", "several daemons run here: choose one with -s, one of" + names};
}

}  // namespace splitnve::vdpctl
