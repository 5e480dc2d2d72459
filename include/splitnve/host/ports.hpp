// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "splitnve/base/ids.hpp"
#include "splitnve/host/frame_port.hpp"

namespace splitnve::host {

class Loop;
class Log;

/// Where to look in the kernel again.
struct KernelChanges {
  std::vector<unsigned> indexes;  ///< interfaces whose link, qdiscs or filters changed; may repeat
  bool addresses = false;
  bool everything = false;  ///< events were lost
};

/// The interfaces of a daemon by port id: receives and sends their ECP frames and follows their links, also when an
/// interface is deleted and comes back. Frames to send are collected and leave with one system call per port.
class Ports {
 public:
  struct Events {
    std::function<void(PortId, Octets)> frame;
    /// After the frames of one wake-up were delivered.
    std::function<void()> batch_end;
    /// Any change, and once after `open`/`watch`; `index == 0`: the interface is gone.
    std::function<void(PortId, const LinkInfo&)> link;
    /// After the links of one wake-up were told: what else of the kernel may have changed.
    std::function<void(const KernelChanges&)> kernel = {};
  };
  Ports(Loop& loop, Log& log, Events events);
  ~Ports();
  Ports(const Ports&) = delete;
  Ports& operator=(const Ports&) = delete;

  /// Opens a port with frames, member of `group`. An interface that is absent is waited for. Error: as FramePort::open,
  /// or the port id or the name is in use.
  Result<void> open(PortId port, const std::string& interface_name, std::optional<MacAddress> group = std::nullopt);
  /// Follows the link of an interface only (VM ports), which may be absent for now.
  Result<void> watch(PortId port, const std::string& interface_name);
  /// Is this port opened or watched under this name? Then every change of its link is told.
  bool watches(PortId port, const std::string& interface_name) const;
  void close(PortId port);
  /// Asks again for what the kernel did not tell, and for the next few absent interfaces: some changes of names send no
  /// event. To be called every second or so.
  void look_again();

  /// Queues a complete frame; counted as dropped when the port is not there.
  void queue(PortId port, OctetString frame);
  void flush();

  std::optional<LinkInfo> link(PortId port) const;
  std::optional<FramePortStats> stats(PortId port);
  Result<void> start_trace(PortId port, const std::string& path);
  void stop_trace(PortId port);
  std::uint64_t frames_without_port() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace splitnve::host
