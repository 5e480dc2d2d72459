// SPDX-License-Identifier: Apache-2.0
#include "kernel_watch.hpp"

#include <algorithm>

#include "splitnve/base/limits.hpp"

namespace splitnve::daemon {
namespace {

using host::KernelFault;
using host::KernelFaults;
using host::KernelPart;

constexpr Duration kTick = std::chrono::milliseconds(500);
/// Ports that one tick looks at, and one turn of what netlink told of.
constexpr std::size_t kPortsPerTick = 8;
constexpr std::size_t kPortsPerTurn = 32;
/// Pins and the underlay are looked at each so many ticks.
constexpr unsigned kThoroughTicks = 4;
/// Where all ports share something.
const std::string kShared = "shared";

/// Whether another agent that does it again and again is at war with us.
bool can_be_war(KernelPart part) {
  switch (part) {
    case KernelPart::kFilter:
    case KernelPart::kForeignProgram:
    case KernelPart::kForeignBefore:
    case KernelPart::kForeignXdp:
    case KernelPart::kTunnel: return true;
    case KernelPart::kInterface:
    case KernelPart::kPortRow:
    case KernelPart::kClaim:
    case KernelPart::kUnderlayMtu:
    case KernelPart::kUnderlayAddress:
    case KernelPart::kPins:
    case KernelPart::kTables:
    case KernelPart::kUnread:
    case KernelPart::kCount_: return false;
  }
  return false;
}

std::string row_of(const KernelFault& fault) { return fault.where + ": " + fault.what; }

}  // namespace

bool MendBudget::take(const std::string& where, Instant now) {
  auto& taken = taken_[where];
  while (!taken.empty() && taken.front() + limits::kKernelMendsTime <= now) taken.pop_front();
  if (taken.size() >= limits::kKernelMendsMax) return false;
  taken.push_back(now);
  return true;
}

datapath::Rows taken_back(datapath::Rows rows, PortId port) {
  rows.ports.clear();
  rows.ips.clear();
  for (auto& row : rows.access) row.domain.reset();
  for (auto& row : rows.guards) row.instance.reset();
  std::erase_if(rows.fdb, [port](const datapath::FdbRow& row) {
    const auto* local = row.owner ? std::get_if<datapath::LocalOwner>(&*row.owner) : nullptr;
    return local == nullptr || local->port != port;
  });
  for (auto& row : rows.fdb) row.owner.reset();
  return rows;
}

KernelWatch::KernelWatch(host::Loop& loop, host::Log& log, host::Datapath& datapath, RowsOfPort rows_of_port)
    : loop_(loop), log_(log), datapath_(datapath), rows_of_port_(std::move(rows_of_port)), timer_(loop, [this] {
        tick();
      }) {}

void KernelWatch::start(host::Ports& ports) {
  ports_ = &ports;
  for (const PortId port : datapath_.bound_ports()) {
    if (!datapath_.is_shut(port)) continue;
    const auto rows = rows_of_port_(port);
    const std::string name = rows.ports.empty() ? "" : rows.ports.front().interface_name;
    closed_.emplace(port, name);
    log_.event(host::LogLevel::kError, "port.closed", {{"interface", name}}, "since before the start");
  }
  look_at_shared(true);
  timer_.arm(host::Loop::now() + kTick);
}

void KernelWatch::tick() {
  timer_.arm(host::Loop::now() + kTick);
  if (ports_ != nullptr) ports_->look_again();
  look_at_pending();
  look_at_shared(++ticks_ % kThoroughTicks == 0);
  if (next_in_round_ >= round_.size()) {
    round_ = datapath_.bound_ports();
    next_in_round_ = 0;
  }
  for (std::size_t n = 0; n < kPortsPerTick && next_in_round_ < round_.size(); ++n) look_at(round_[next_in_round_++]);
}

void KernelWatch::changed(const host::KernelChanges& changes) {
  const auto add = [this](PortId port) {
    if (is_pending_.insert(port).second) pending_.push_back(port);
  };
  bool shared = changes.everything || changes.addresses;
  const bool thorough = shared;
  if (changes.everything)
    for (const PortId port : datapath_.bound_ports()) add(port);
  bool underlay = false;
  for (const unsigned index : changes.indexes) {
    if (const auto port = datapath_.port_at(index))
      add(*port);
    else if (datapath_.is_shared(index))
      underlay = true;
  }
  shared = shared || underlay;
  if (shared) look_at_shared(thorough || underlay);
  look_at_pending();
}

void KernelWatch::look_at_pending() {
  for (std::size_t n = 0; n < kPortsPerTurn && !pending_.empty(); ++n) {
    const PortId port = pending_.front();
    pending_.pop_front();
    is_pending_.erase(port);
    look_at(port);
  }
  if (pending_.empty() || std::exchange(posted_, true)) return;
  loop_.post([this] {
    posted_ = false;
    look_at_pending();
  });
}

void KernelWatch::look_at(PortId port) {
  const std::string place = "port " + std::to_string(port.value());
  if (const auto at = contested_.find(place); at != contested_.end() && at->second <= host::Loop::now())
    contested_.erase(at);
  handle(datapath_.examine(port, may_mend(place)), place, true);
}

void KernelWatch::look_at_shared(bool thorough) {
  if (const auto at = contested_.find(kShared); at != contested_.end() && at->second <= host::Loop::now())
    contested_.erase(at);
  handle(datapath_.examine_shared(thorough, may_mend(kShared)), kShared, thorough);
}

void KernelWatch::handle(const KernelFaults& faults, const std::string& place, bool complete) {
  for (const auto& fault : faults) report(fault);
  for (const auto& fault : faults) {
    complete = complete && fault.part != KernelPart::kUnread;
    if (fault.mended && can_be_war(fault.part) && !budget_.take(place, host::Loop::now())) {
      contested_[place] = host::Loop::now() + limits::kKernelMendsTime;
      log_.event(host::LogLevel::kError, "kernel.contested", {{"where", fault.where}},
                 "another agent undoes this again and again: " + fault.what);
      if (fault.exposed) close(*fault.exposed, fault.where, "another agent undoes its guard again and again");
    } else if (!fault.mended && fault.exposed) {
      close(*fault.exposed, fault.where, fault.what);
    }
  }
  // What stood here and was not found again is over.
  for (auto at = standing_.begin(); complete && at != standing_.end();) {
    const bool here = at->first.first == place;
    const bool found = std::any_of(faults.begin(), faults.end(), [&](const KernelFault& fault) {
      return !fault.mended && fault.part == at->first.second;
    });
    if (!here || found) {
      ++at;
      continue;
    }
    log_.event(host::LogLevel::kInfo, "kernel.over", {{"part", host::to_string(at->first.second)}}, at->second);
    at = standing_.erase(at);
  }
  for (const auto& fault : faults)
    if (!fault.mended && fault.part != KernelPart::kUnread && !standing_.contains({place, fault.part}))
      standing_[{place, fault.part}] = row_of(fault);
}

void KernelWatch::report(const KernelFault& fault) {
  if (fault.part == KernelPart::kUnread) return (void)++counts_[static_cast<std::size_t>(fault.part)];
  if (!fault.mended) {
    const auto known = std::any_of(standing_.begin(), standing_.end(), [&](const auto& one) {
      return one.first.second == fault.part && one.second == row_of(fault);
    });
    if (known) return;
  }
  ++counts_[static_cast<std::size_t>(fault.part)];
  if (found_.size() >= limits::kKernelMendedKept) found_.pop_front();
  found_.push_back({fault, host::Loop::now()});
  if (fault.mended) lost(fault);
  const std::initializer_list<host::LogField> fields{{"part", host::to_string(fault.part)}, {"where", fault.where}};
  if (fault.mended)
    log_.event(host::LogLevel::kWarning, "kernel.mended", fields, fault.what);
  else
    log_.event(host::LogLevel::kError, "kernel.differs", fields, fault.what);
}

void KernelWatch::lost(const KernelFault& fault) {
  if (mended_.size() < limits::kKernelMendedKept) mended_.push_back(fault);
}

// No frame passes an interface that is down, whatever stands before us.
void KernelWatch::close(PortId port, const std::string& interface_name, const std::string& why) {
  if (!datapath_.shut(port, true)) {
    if (exposed_.emplace(port, interface_name).second)
      log_.event(host::LogLevel::kError, "port.exposed", {{"interface", interface_name}}, why);
    return;
  }
  exposed_.erase(port);
  if (closed_.emplace(port, interface_name).second)
    log_.event(host::LogLevel::kError, "port.closed", {{"interface", interface_name}}, why);
}

bool KernelWatch::is_closed(const std::string& interface_name) const {
  return std::ranges::any_of(closed_, [&](const auto& port) { return port.second == interface_name; });
}

void KernelWatch::before_apply(const datapath::Rows& rows) {
  for (const auto& row : rows.ports) {
    if (!row.present || !datapath_.is_replaced(row.port, row.interface_name)) continue;
    auto back = taken_back(rows_of_port_(row.port), row.port);
    datapath_.release(row.port);
    datapath_.apply(BatchId(0), back);
  }
}

void KernelWatch::link_changed(PortId port, const host::LinkInfo& link) {
  const bool here = link.index != 0;
  const bool is_bound = here && datapath_.port_at(link.index) == port;
  if (is_bound) {  // the same one: its MAC address or state
    if (link.up && closed_.erase(port) != 0) {
      datapath_.shut(port, false);
      log_.event(host::LogLevel::kInfo, "port.opened", {{"interface", link.name}}, "set up by hand");
      const std::string place = "port " + std::to_string(port.value());
      contested_.erase(place);
      budget_.forget(place);
      look_at(port);
    }
    if (is_pending_.insert(port).second) pending_.push_back(port);
    return;
  }
  auto rows = rows_of_port_(port);
  if (rows.ports.empty()) return;
  const auto bound = datapath_.is_bound(port);
  if (bound) {
    ++counts_[static_cast<std::size_t>(KernelPart::kInterface)];
    auto back = taken_back(rows, port);
    datapath_.release(port);
    datapath_.apply(BatchId(0), back);
    lost({KernelPart::kInterface, link.name, here ? "the interface was made anew" : "the interface is gone", true, {}});
  }
  closed_.erase(port);
  exposed_.erase(port);
  if (!here) return;
  for (const auto& failure : datapath_.apply(BatchId(0), rows).failures)
    log_.event(host::LogLevel::kError, "datapath.failed", {{"interface", link.name}}, failure.cause);
}

datapath::Rows KernelWatch::without_absent(datapath::Rows want) const {
  boost::unordered_flat_set<PortId> absent;
  for (const auto& row : want.ports)
    if (row.present && !datapath_.is_bound(row.port)) absent.insert(row.port);
  if (absent.empty()) return want;
  const auto on_it = [&](const auto& row) { return absent.contains(row.port); };
  std::erase_if(want.ports, on_it);
  std::erase_if(want.access, on_it);
  std::erase_if(want.guards, on_it);
  for (auto& domain : want.domains) {
    std::erase_if(domain.local, on_it);
    if (domain.uplink && on_it(*domain.uplink)) domain.uplink.reset();
  }
  std::erase_if(want.fdb, [&](const datapath::FdbRow& row) {
    const auto* local = row.owner ? std::get_if<datapath::LocalOwner>(&*row.owner) : nullptr;
    return local != nullptr && on_it(*local);
  });
  return want;
}

void KernelWatch::audit(AuditReport& report, const datapath::Rows& want, bool fix) {
  std::vector<Difference> found;
  if (fix) {
    contested_.clear();
    for (const auto& [port, name] : std::exchange(closed_, {})) {
      budget_.forget("port " + std::to_string(port.value()));
      handle(datapath_.examine(port, true), "port " + std::to_string(port.value()), true);
      if (closed_.contains(port)) continue;
      datapath_.shut(port, false);
      log_.event(host::LogLevel::kInfo, "port.opened", {{"interface", name}}, "by an operator's audit --fix");
    }
  }
  std::size_t fixed = 0;
  const auto add = [&](const KernelFaults& faults) {
    for (const auto& fault : faults) {
      fixed += fault.mended ? 1 : 0;
      found.push_back({Difference::Kind::kDiffers, row_of(fault)});
    }
  };
  for (const auto& row : want.ports)
    if (row.present && !datapath_.is_bound(row.port))
      found.push_back({Difference::Kind::kMissing, row.interface_name + ": no such interface, or it cannot be a port"});
  for (const PortId port : datapath_.bound_ports()) add(datapath_.examine(port, fix));
  add(datapath_.examine_shared(true, fix));
  for (const auto& [port, name] : closed_) found.push_back({Difference::Kind::kDiffers, name + ": closed"});
  for (const auto& [port, name] : exposed_) found.push_back({Difference::Kind::kDiffers, name + ": exposed"});
  for (const auto& fault : std::exchange(mended_, {})) {
    found.push_back({Difference::Kind::kMended, row_of(fault)});
    fixed += fix ? 1 : 0;
  }
  report.add("kernel", std::move(found));
  report.fixed += fixed;
}

std::vector<std::pair<std::string, std::uint64_t>> KernelWatch::counters() const {
  std::vector<std::pair<std::string, std::uint64_t>> counters;
  counters.reserve(counts_.size() + 2);
  for (std::size_t i = 0; i < counts_.size(); ++i)
    counters.emplace_back(host::to_string(static_cast<KernelPart>(i)), counts_[i]);
  counters.emplace_back("ports_closed", closed_.size());
  counters.emplace_back("ports_exposed", exposed_.size());
  return counters;
}

}  // namespace splitnve::daemon
