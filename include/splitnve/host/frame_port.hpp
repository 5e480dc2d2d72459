// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "splitnve/base/bytes.hpp"
#include "splitnve/base/result.hpp"
#include "splitnve/host/link_monitor.hpp"

namespace splitnve::host {

/// Frames taken or sent by one system call.
inline constexpr std::size_t kFrameBatchMax = 64;
/// The default buffer keeps 93 of 2,000 frames of 1500 octets in a burst, this one all.
inline constexpr int kReceiveBufferOctets = 4 * 1024 * 1024;
/// Longer frames are not ECP on a 1500-octet link; on a jumbo link they are cut here and counted.
inline constexpr std::size_t kFrameBufferOctets = 2048;

struct FramePortStats {
  std::uint64_t rx_frames = 0;
  std::uint64_t tx_frames = 0;
  std::uint64_t rx_tagged = 0;    ///< with a VID other than 0: not delivered (S18)
  std::uint64_t rx_oversize = 0;  ///< longer than kFrameBufferOctets: not delivered
  std::uint64_t rx_dropped = 0;   ///< lost by the kernel, the receive buffer was full
  std::uint64_t tx_dropped = 0;   ///< not taken by the kernel; ECP sends again
  std::uint64_t rx_paused = 0;    ///< times that a port sent more than its share and was not read for a moment
};

/// ECP and LLDP frames (EtherTypes 0x8940 and 0x88CC, untagged or priority-tagged, S18) of one interface: an AF_PACKET
/// socket behind a kernel filter, with a 4 MiB receive buffer, member of the three bridge group addresses. Own frames
/// are never received. It taps before tc, so what the datapath drops as a control frame still arrives here.
class FramePort {
 public:
  /// Becomes a member of `group`, too. Error: no such interface, not Ethernet, or no permission; each with what to do.
  static Result<std::unique_ptr<FramePort>> open(const std::string& interface_name,
                                                 std::optional<MacAddress> group = std::nullopt);
  ~FramePort();
  FramePort(const FramePort&) = delete;
  FramePort& operator=(const FramePort&) = delete;

  int fd() const;
  const LinkInfo& link() const;  ///< as it was at `open()`
  /// Takes at most kFrameBatchMax frames, never blocks; returns how many the socket gave (delivered or not). A frame is
  /// valid during its call only.
  std::size_t receive(const std::function<void(Octets)>& deliver);
  /// Sends complete frames in order; what the kernel does not take is counted and forgotten. Returns how many were
  /// sent.
  std::size_t send(std::span<const OctetString> frames);
  FramePortStats stats();

  /// Writes every frame received and sent from now on to a pcap file, until `stop_trace()`.
  Result<void> start_trace(const std::string& path);
  void stop_trace();
  bool tracing() const;

 private:
  struct Impl;
  explicit FramePort(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// S18: whether a frame may be delivered. `stripped_tci`: the tag the kernel took off, as PACKET_AUXDATA tells it.
bool is_untagged_or_priority(Octets frame, std::optional<std::uint16_t> stripped_tci);

}  // namespace splitnve::host
