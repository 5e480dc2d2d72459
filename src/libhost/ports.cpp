// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/ports.hpp"

#include <map>
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

struct Port {
  std::string name;
  bool frames = false;  ///< carries ECP, not only watched
  std::optional<MacAddress> group;
  LinkInfo link;
  FramePortStats before;  ///< of earlier incarnations of the interface
  // The watch goes before the socket it watches.
  std::unique_ptr<FramePort> socket;
  std::unique_ptr<FdWatch> watch;
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
    if (auto started = start_monitor(); !started) return started;
    Port port;
    port.name = name;
    port.frames = frames;
    port.link.name = name;
    ports.emplace(id, std::move(port));
    return {};
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
  /// Looks at the interface as it is now, and tells what has changed.
  void refresh(PortId id) {
    Port& port = ports.at(id);
    LinkInfo now = link_of(port.name).value_or(LinkInfo{});
    now.name = port.name;
    if (now == port.link) return;
    if (now.index != port.link.index) {
      const bool was_there = port.link.index != 0;
      close_socket(port);
      log.event(LogLevel::kInfo, now.index == 0 ? "PORT_GONE" : "PORT_PRESENT", {{"interface", port.name}});
      if (was_there && now.index != 0) {  // replaced in one go: whoever holds on to the old one must let go first
        port.link = LinkInfo{};
        port.link.name = port.name;
        events.link(id, port.link);
      }
      if (now.index != 0 && port.frames)
        if (auto opened = open_socket(id, port); !opened)
          log.event(LogLevel::kError, "PORT_UNUSABLE", {{"interface", port.name}}, opened.error().to_string());
    }
    port.link = now;
    events.link(id, now);
  }
  void on_monitor() {
    std::vector<std::pair<std::string, unsigned>> hints;
    const bool complete =
        monitor->drain([&](const std::string& name, unsigned index) { hints.emplace_back(name, index); });
    std::vector<PortId> concerned;
    for (const auto& [id, port] : ports) {
      bool named = !complete;
      for (const auto& [name, index] : hints) named = named || name == port.name || index == port.link.index;
      if (named) concerned.push_back(id);
    }
    for (const PortId id : concerned)
      if (ports.contains(id)) refresh(id);
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
  std::unique_ptr<LinkMonitor> monitor;
  std::unique_ptr<FdWatch> monitor_watch;
  std::uint64_t frames_without_port = 0;
  Timer next_slice{loop, [this] { on_next_slice(); }};
  bool next_slice_armed = false;
};

Ports::Ports(Loop& loop, Log& log, Events events) : impl_(std::make_unique<Impl>(loop, log, std::move(events))) {}
Ports::~Ports() = default;

Result<void> Ports::open(PortId port, const std::string& interface_name, std::optional<MacAddress> group) {
  const auto link = link_of(interface_name);
  if (!link) return unexpected<Error>(link.error());
  if (auto added = impl_->add(port, interface_name, true); !added) return added;
  Port& entry = impl_->ports.at(port);
  entry.group = group;
  if (auto opened = impl_->open_socket(port, entry); !opened) {
    impl_->ports.erase(port);
    return opened;
  }
  entry.link = *link;
  impl_->events.link(port, *link);
  return {};
}

Result<void> Ports::watch(PortId port, const std::string& interface_name) {
  if (auto added = impl_->add(port, interface_name, false); !added) return added;
  Port& entry = impl_->ports.at(port);
  LinkInfo now = link_of(interface_name).value_or(LinkInfo{});
  now.name = interface_name;
  entry.link = now;
  impl_->events.link(port, now);
  return {};
}

bool Ports::watches(PortId port, const std::string& interface_name) const {
  const auto found = impl_->ports.find(port);
  return found != impl_->ports.end() && found->second.name == interface_name;
}

void Ports::close(PortId port) {
  const auto found = impl_->ports.find(port);
  if (found == impl_->ports.end()) return;
  impl_->close_socket(found->second);
  impl_->ports.erase(found);
}

void Ports::queue(PortId port, OctetString frame) {
  const auto found = impl_->ports.find(port);
  if (found == impl_->ports.end() || !found->second.socket)
    ++impl_->frames_without_port;
  else
    found->second.outgoing.push_back(std::move(frame));
}

void Ports::flush() {
  for (auto& [id, port] : impl_->ports) {
    if (port.outgoing.empty()) continue;
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
