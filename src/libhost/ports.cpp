// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/ports.hpp"

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "splitnve/host/log.hpp"
#include "splitnve/host/loop.hpp"

namespace splitnve::host {
namespace {

/// System calls per wake-up of one port, so that a flooded port leaves the others their turn.
constexpr int kBatchesPerWakeUp = 2;
/// Frames that are read of one port in a slice of time; the rest waits in the kernel's buffer, and what does not fit
/// there is lost and counted as `rx_dropped`. 40,000 frames a second are far beyond what a port's stations need.
constexpr std::size_t kFramesPerSliceMax = 400;
constexpr Duration kSlice = std::chrono::milliseconds(10);
/// Absent interfaces that one `look_again` asks for.
constexpr std::size_t kAbsentPerLook = 16;

struct Port {
  std::string name;
  bool frames = false;  ///< carries ECP, not only watched
  std::optional<MacAddress> group;
  LinkInfo link;
  FramePortStats before;  ///< of earlier incarnations of the interface
  // The watch goes before the socket it watches.
  std::unique_ptr<FramePort> socket;
  std::unique_ptr<FdWatch> watch;
  bool unusable = false;  ///< and it was said
  std::vector<OctetString> outgoing;
  Instant slice_ends{};
  std::size_t read_in_slice = 0;
  bool paused = false;  ///< has had its frames of this slice
};

FramePortStats operator+(const FramePortStats& a, const FramePortStats& b) {
  return {a.rx_frames + b.rx_frames,     a.tx_frames + b.tx_frames,   a.rx_tagged + b.rx_tagged,
          a.rx_oversize + b.rx_oversize, a.rx_dropped + b.rx_dropped, a.tx_dropped + b.tx_dropped,
          a.rx_paused + b.rx_paused};
}

unexpected<Error> no_such_port(PortId id) {
  return unexpected<Error>(Error{"no such port, or its interface is absent", "port " + std::to_string(id.value()), ""});
}

}  // namespace

struct Ports::Impl {
  Impl(Loop& the_loop, Log& the_log, Events the_events) : loop(the_loop), log(the_log), events(std::move(the_events)) {}

  Result<void> start_monitor() {
    if (monitor) return {};
    auto opened = LinkMonitor::open();
    if (!opened) return unexpected<Error>(opened.error());
    monitor = std::move(*opened);
    monitor_watch = std::make_unique<FdWatch>(loop, monitor->fd(), [this] { on_monitor(); });
    monitor_watch->want_read(true);
    return {};
  }
  Result<void> add(PortId id, const std::string& name, bool frames) {
    if (ports.contains(id))
      return unexpected<Error>(Error{"port id is in use", "port " + std::to_string(id.value()), "give each its own"});
    if (by_name.contains(name)) return unexpected<Error>(Error{"two ports have one interface", name, ""});
    if (auto started = start_monitor(); !started) return started;
    Port port;
    port.name = name;
    port.frames = frames;
    port.link.name = name;
    ports.emplace(id, std::move(port));
    by_name.emplace(name, id);
    absent.insert(id);
    return {};
  }
  void remove(PortId id) {
    const auto found = ports.find(id);
    if (found == ports.end()) return;
    close_socket(found->second);
    set_link(id, found->second, LinkInfo{});
    by_name.erase(found->second.name);
    absent.erase(id);
    unsure.erase(id);
    ports.erase(found);
  }
  void set_link(PortId id, Port& port, const LinkInfo& now) {
    if (port.link.index != now.index) {
      if (const auto at = by_index.find(port.link.index); at != by_index.end() && at->second == id) by_index.erase(at);
      if (now.index != 0) by_index[now.index] = id;
      now.index == 0 ? (void)absent.insert(id) : (void)absent.erase(id);
    }
    port.link = now;
  }
  Result<void> open_socket(PortId id, Port& port) {
    auto opened = FramePort::open(port.name, port.group);
    if (!opened) return unexpected<Error>(opened.error());
    port.socket = std::move(*opened);
    port.watch = std::make_unique<FdWatch>(loop, port.socket->fd(), [this, id] { on_readable(id); });
    port.watch->want_read(true);
    return {};
  }
  void close_socket(Port& port) {
    port.watch.reset();
    if (port.socket) port.before = port.before + port.socket->stats();
    port.socket.reset();
  }
  /// Looks at the interface as it is now, and tells what has changed. `left`: the one known went away, though one with
  /// its number may be there again.
  void refresh(PortId id, bool left) {
    Port& port = ports.at(id);
    const auto found = find_link(port.name);
    if (!found) {  // no news (S38): asked again, and that the known one left is not forgotten
      auto& was_left = unsure[id];
      was_left = was_left || left;
      return;
    }
    LinkInfo now = found->value_or(LinkInfo{});
    now.name = port.name;
    unsure.erase(id);
    if (now == port.link && !left) return reopen(id, port);
    if (now.index != port.link.index || left) {
      const bool was_there = port.link.index != 0;
      close_socket(port);
      log.event(LogLevel::kInfo, now.index == 0 ? "PORT_GONE" : "PORT_PRESENT", {{"interface", port.name}});
      if (was_there && now.index != 0) {  // replaced in one go: whoever holds on to the old one must let go first
        LinkInfo none;
        none.name = port.name;
        set_link(id, port, none);
        events.link(id, none);
        if (!ports.contains(id)) return;
      }
    }
    set_link(id, port, now);
    reopen(id, port);
    events.link(id, now);
  }
  void reopen(PortId id, Port& port) {
    if (!port.frames || port.socket || port.link.index == 0) return;
    auto opened = open_socket(id, port);
    if (opened) {
      port.unusable = false;
      return;
    }
    unsure.try_emplace(id, false);
    if (!std::exchange(port.unusable, true))
      log.event(LogLevel::kError, "PORT_UNUSABLE", {{"interface", port.name}}, opened.error().to_string());
  }
  void on_monitor() {
    KernelChanges changes;
    boost::unordered_flat_map<PortId, bool> concerned;  // and whether its interface left
    const bool complete = monitor->drain([&](const LinkMonitor::Hint& hint) {
      using Kind = LinkMonitor::Hint::Kind;
      changes.addresses = changes.addresses || hint.kind == Kind::kAddress;
      if (hint.kind == Kind::kAddress) return;
      if (changes.indexes.empty() || changes.indexes.back() != hint.index) changes.indexes.push_back(hint.index);
      if (hint.kind == Kind::kTraffic) return;
      if (const auto at = by_index.find(hint.index); at != by_index.end())
        concerned[at->second] = concerned[at->second] || hint.kind == Kind::kLinkGone;
      for (const auto& name : hint.names)
        if (const auto at = by_name.find(name); at != by_name.end()) concerned.try_emplace(at->second, false);
    });
    changes.addresses = changes.addresses || !complete;
    changes.everything = !complete;
    if (!complete)
      for (const auto& [id, port] : ports) concerned.try_emplace(id, false);
    for (const auto& [id, left] : concerned)
      if (ports.contains(id)) refresh(id, left);
    if (events.kernel) events.kernel(changes);
  }
  void look_again() {
    const std::vector<std::pair<PortId, bool>> again(unsure.begin(), unsure.end());
    for (const auto& [id, left] : again)
      if (ports.contains(id)) refresh(id, left);
    std::vector<PortId> next;
    for (auto at = absent.upper_bound(last_absent); at != absent.end() && next.size() < kAbsentPerLook; ++at)
      next.push_back(*at);
    last_absent = next.size() < kAbsentPerLook ? PortId() : next.back();
    for (const PortId id : next)
      if (ports.contains(id)) refresh(id, false);
  }
  void on_readable(PortId id) {
    for (int i = 0; i < kBatchesPerWakeUp; ++i) {
      const auto found = ports.find(id);
      if (found == ports.end() || !found->second.socket || found->second.paused) break;
      const std::size_t count = found->second.socket->receive([&](Octets frame) { events.frame(id, frame); });
      count_read(id, count);
      if (count < kFrameBatchMax) break;
    }
    events.batch_end();
  }
  /// A port that has had its share of a slice is read again in the next one.
  void count_read(PortId id, std::size_t count) {
    const auto found = ports.find(id);
    if (found == ports.end() || !found->second.watch) return;
    Port& port = found->second;
    const Instant now = Loop::now();
    if (now >= port.slice_ends) {
      port.slice_ends = now + kSlice;
      port.read_in_slice = 0;
    }
    port.read_in_slice += count;
    if (port.read_in_slice < kFramesPerSliceMax) return;
    port.paused = true;
    ++port.before.rx_paused;
    port.watch->want_read(false);
    if (!next_slice_armed) next_slice.arm(port.slice_ends);
    next_slice_armed = true;
  }
  void on_next_slice() {
    next_slice_armed = false;
    for (auto& [id, port] : ports) {
      if (!std::exchange(port.paused, false)) continue;
      port.read_in_slice = 0;
      if (port.watch) port.watch->want_read(true);
    }
  }

  Loop& loop;
  Log& log;
  Events events;
  std::map<PortId, Port> ports;
  boost::unordered_flat_map<std::string, PortId> by_name;
  boost::unordered_flat_map<unsigned, PortId> by_index;  ///< of interfaces that are there
  std::set<PortId> absent;
  PortId last_absent;
  /// The kernel did not say, or the socket could not be opened; and whether the interface was told to have left.
  boost::unordered_flat_map<PortId, bool> unsure;
  std::vector<PortId> with_frames;  ///< to send
  std::unique_ptr<LinkMonitor> monitor;
  std::unique_ptr<FdWatch> monitor_watch;
  std::uint64_t frames_without_port = 0;
  Timer next_slice{loop, [this] { on_next_slice(); }};
  bool next_slice_armed = false;
};

Ports::Ports(Loop& loop, Log& log, Events events) : impl_(std::make_unique<Impl>(loop, log, std::move(events))) {}
Ports::~Ports() = default;

Result<void> Ports::open(PortId port, const std::string& interface_name, std::optional<MacAddress> group) {
  const auto link = find_link(interface_name);
  if (!link) return unexpected<Error>(link.error());
  if (auto added = impl_->add(port, interface_name, true); !added) return added;
  Port& entry = impl_->ports.at(port);
  entry.group = group;
  LinkInfo now = link->value_or(LinkInfo{});
  now.name = interface_name;
  if (*link)
    if (auto opened = impl_->open_socket(port, entry); !opened) {
      impl_->remove(port);
      return opened;
    }
  impl_->set_link(port, entry, now);
  impl_->events.link(port, now);
  return {};
}

Result<void> Ports::watch(PortId port, const std::string& interface_name) {
  if (auto added = impl_->add(port, interface_name, false); !added) return added;
  Port& entry = impl_->ports.at(port);
  const auto found = find_link(interface_name);
  if (!found) impl_->unsure.try_emplace(port, false);
  LinkInfo now = found ? found->value_or(LinkInfo{}) : LinkInfo{};
  now.name = interface_name;
  impl_->set_link(port, entry, now);
  impl_->events.link(port, now);
  return {};
}

void Ports::look_again() { impl_->look_again(); }

bool Ports::watches(PortId port, const std::string& interface_name) const {
  const auto found = impl_->ports.find(port);
  return found != impl_->ports.end() && found->second.name == interface_name;
}

void Ports::close(PortId port) { impl_->remove(port); }

void Ports::queue(PortId port, OctetString frame) {
  const auto found = impl_->ports.find(port);
  if (found == impl_->ports.end() || !found->second.socket) {
    ++impl_->frames_without_port;
    return;
  }
  if (found->second.outgoing.empty()) impl_->with_frames.push_back(port);
  found->second.outgoing.push_back(std::move(frame));
}

void Ports::flush() {
  for (const PortId id : std::exchange(impl_->with_frames, {})) {
    const auto found = impl_->ports.find(id);
    if (found == impl_->ports.end()) continue;
    Port& port = found->second;
    if (port.socket)
      port.socket->send(port.outgoing);
    else
      impl_->frames_without_port += port.outgoing.size();
    port.outgoing.clear();
  }
}

std::optional<LinkInfo> Ports::link(PortId port) const {
  const auto found = impl_->ports.find(port);
  return found == impl_->ports.end() ? std::nullopt : std::optional(found->second.link);
}

std::optional<FramePortStats> Ports::stats(PortId port) {
  const auto found = impl_->ports.find(port);
  if (found == impl_->ports.end()) return std::nullopt;
  if (!found->second.socket) return found->second.before;
  return found->second.before + found->second.socket->stats();
}

Result<void> Ports::start_trace(PortId port, const std::string& path) {
  const auto found = impl_->ports.find(port);
  if (found == impl_->ports.end() || !found->second.socket) return no_such_port(port);
  return found->second.socket->start_trace(path);
}

void Ports::stop_trace(PortId port) {
  const auto found = impl_->ports.find(port);
  if (found != impl_->ports.end() && found->second.socket) found->second.socket->stop_trace();
}

std::uint64_t Ports::frames_without_port() const { return impl_->frames_without_port; }

}  // namespace splitnve::host
