// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/frame_port.hpp"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <pcap/pcap.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>
#include <vector>

namespace splitnve::host {
namespace {

// The kernel takes one tag off before the filter runs; a second one, or one that an emulated driver left, is still
// there.
constexpr char kFilter[] =
    "ether proto 0x8940 or ether proto 0x88cc or "
    "(ether proto 0x8100 and (ether[16:2] = 0x8940 or ether[16:2] = 0x88cc))";
/// The kernel cuts a frame to what its filter returns, the snapshot length of libpcap; this is libpcap's own maximum,
/// so that an oversize frame is seen as such.
constexpr int kSnapshotOctets = 262144;
constexpr std::uint16_t kVidMask = 0x0FFF;
/// Nearest customer bridge, nearest non-TPMR bridge, nearest bridge: where a VDP peer may address ECP.
constexpr std::array<MacAddress, 3> kGroupAddresses = {MacAddress(0x0180C2000000u), MacAddress(0x0180C2000003u),
                                                       MacAddress(0x0180C200000Eu)};

unexpected<Error> system_error(const std::string& what, const std::string& where) {
  const int cause = errno;
  const char* remedy = cause == EPERM ? "run as root or with CAP_NET_RAW and CAP_NET_ADMIN" : "";
  return unexpected<Error>(Error{what + ": " + std::strerror(cause), where, remedy});
}

struct PcapCloser {
  void operator()(pcap_t* handle) const { pcap_close(handle); }
  void operator()(pcap_dumper_t* dumper) const { pcap_dump_close(dumper); }
};

/// Compiles the filter with libpcap and hands it to the kernel.
Result<void> attach_filter(int fd, const std::string& name) {
  const std::unique_ptr<pcap_t, PcapCloser> handle(pcap_open_dead(DLT_EN10MB, kSnapshotOctets));
  bpf_program program{};
  if (handle == nullptr || pcap_compile(handle.get(), &program, kFilter, 1, PCAP_NETMASK_UNKNOWN) != 0)
    return unexpected<Error>(Error{"libpcap cannot compile the filter of ECP and LLDP", name, ""});
  // libpcap's instruction has the layout of the kernel's, by design; copied so that none is laid over the other.
  std::vector<sock_filter> code(program.bf_len);
  for (unsigned i = 0; i < program.bf_len; ++i) {
    const bpf_insn& from = program.bf_insns[i];
    code[i] = sock_filter{from.code, from.jt, from.jf, from.k};
  }
  pcap_freecode(&program);
  const sock_fprog kernel_program{static_cast<unsigned short>(code.size()), code.data()};
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &kernel_program, sizeof(kernel_program)) != 0)
    return system_error("cannot attach the filter of ECP and LLDP", name);
  return {};
}

Result<void> set_options(int fd, const std::string& name) {
  const int on = 1;
  if (setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) != 0)
    return system_error("cannot ask for VLAN tags (PACKET_AUXDATA)", name);
  // Without it (kernels before 4.20) own frames are dropped in receive().
  setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
  const int octets = kReceiveBufferOctets;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &octets, sizeof(octets)) != 0)
    return system_error("cannot set the receive buffer", name);
  return {};
}

Result<void> join(int fd, const LinkInfo& link, const MacAddress& group) {
  packet_mreq membership{};
  membership.mr_ifindex = static_cast<int>(link.index);
  membership.mr_type = PACKET_MR_MULTICAST;
  membership.mr_alen = ETH_ALEN;
  std::copy(group.octets().begin(), group.octets().end(), membership.mr_address);
  if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof(membership)) != 0)
    return system_error("cannot join the group address " + group.to_string(), link.name);
  return {};
}

Result<void> bind_to(int fd, const LinkInfo& link, const std::optional<MacAddress>& own_group) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(link.index);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    return system_error("cannot bind to the interface", link.name);
  for (const MacAddress& group : kGroupAddresses)
    if (auto joined = join(fd, link, group); !joined) return joined;
  return own_group ? join(fd, link, *own_group) : Result<void>();
}

/// Buffers of one recvmmsg, laid out once.
struct ReceiveBatch {
  struct Slot {
    std::array<std::uint8_t, kFrameBufferOctets> frame;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(tpacket_auxdata))> control;
    sockaddr_ll from;
    iovec vector;
  };
  std::vector<Slot> slots{kFrameBatchMax};
  std::array<mmsghdr, kFrameBatchMax> messages{};
  std::size_t used = kFrameBatchMax;  ///< the first slots that have to be laid out anew

  void prepare() {
    const std::size_t stale = std::exchange(used, 0);
    for (std::size_t i = 0; i < stale; ++i) {
      Slot& slot = slots[i];
      slot.vector = {slot.frame.data(), slot.frame.size()};
      msghdr& header = messages[i].msg_hdr;
      header = {};
      header.msg_name = &slot.from;
      header.msg_namelen = sizeof(slot.from);
      header.msg_iov = &slot.vector;
      header.msg_iovlen = 1;
      header.msg_control = slot.control.data();
      header.msg_controllen = slot.control.size();
    }
  }
};

std::optional<std::uint16_t> stripped_tag(msghdr& header) {
  for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item)) {
    if (item->cmsg_level != SOL_PACKET || item->cmsg_type != PACKET_AUXDATA) continue;
    tpacket_auxdata data{};
    std::memcpy(&data, CMSG_DATA(item), sizeof(data));
    if ((data.tp_status & TP_STATUS_VLAN_VALID) != 0) return data.tp_vlan_tci;
  }
  return std::nullopt;
}

}  // namespace

bool is_untagged_or_priority(Octets frame, std::optional<std::uint16_t> stripped_tci) {
  const bool inline_tag = frame.size() >= 16 && frame[12] == 0x81 && frame[13] == 0x00;
  if (stripped_tci && (inline_tag || (*stripped_tci & kVidMask) != 0)) return false;
  if (!inline_tag) return true;
  return ((static_cast<unsigned>(frame[14]) << 8 | frame[15]) & kVidMask) == 0;
}

struct FramePort::Impl {
  Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    if (fd >= 0) close(fd);
  }
  void trace(Octets frame) const {
    if (!dumper) return;
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    pcap_pkthdr header{};
    header.ts.tv_sec = now.tv_sec;
    header.ts.tv_usec = static_cast<suseconds_t>(now.tv_nsec / 1000);
    header.caplen = header.len = static_cast<bpf_u_int32>(frame.size());
    // pcap_dump takes its file as the untyped `user` of a pcap callback.
    pcap_dump(reinterpret_cast<unsigned char*>(dumper.get()), &header, frame.data());
  }
  void deliver(mmsghdr& message, ReceiveBatch::Slot& slot, const std::function<void(Octets)>& to) {
    if (slot.from.sll_pkttype == PACKET_OUTGOING) return;
    if ((message.msg_hdr.msg_flags & MSG_TRUNC) != 0) {
      ++stats.rx_oversize;
      return;
    }
    const Octets frame(slot.frame.data(), message.msg_len);
    trace(frame);
    if (!is_untagged_or_priority(frame, stripped_tag(message.msg_hdr))) {
      ++stats.rx_tagged;
      return;
    }
    ++stats.rx_frames;
    to(frame);
  }

  int fd = -1;
  LinkInfo link;
  FramePortStats stats;
  ReceiveBatch batch;
  std::unique_ptr<pcap_t, PcapCloser> trace_handle;
  std::unique_ptr<pcap_dumper_t, PcapCloser> dumper;
};

FramePort::FramePort(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FramePort::~FramePort() = default;

Result<std::unique_ptr<FramePort>> FramePort::open(const std::string& interface_name, std::optional<MacAddress> group) {
  auto link = link_of(interface_name);
  if (!link) return unexpected<Error>(link.error());
  auto impl = std::make_unique<Impl>();
  impl->link = *link;
  // Protocol 0 receives nothing: no frame slips in before the filter stands.
  impl->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (impl->fd < 0) return system_error("cannot open a packet socket", interface_name);
  if (auto done = attach_filter(impl->fd, interface_name); !done) return unexpected<Error>(done.error());
  if (auto done = set_options(impl->fd, interface_name); !done) return unexpected<Error>(done.error());
  if (auto done = bind_to(impl->fd, *link, group); !done) return unexpected<Error>(done.error());
  return std::unique_ptr<FramePort>(new FramePort(std::move(impl)));
}

int FramePort::fd() const { return impl_->fd; }
const LinkInfo& FramePort::link() const { return impl_->link; }

std::size_t FramePort::receive(const std::function<void(Octets)>& deliver) {
  impl_->batch.prepare();
  const int count = recvmmsg(impl_->fd, impl_->batch.messages.data(), kFrameBatchMax, MSG_DONTWAIT, nullptr);
  if (count <= 0) return 0;  // nothing there, or the link went down, which the link monitor tells
  impl_->batch.used = static_cast<std::size_t>(count);
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i)
    impl_->deliver(impl_->batch.messages[i], impl_->batch.slots[i], deliver);
  return static_cast<std::size_t>(count);
}

std::size_t FramePort::send(std::span<const OctetString> frames) {
  std::size_t sent = 0;
  while (sent < frames.size()) {
    const std::size_t count = std::min(frames.size() - sent, kFrameBatchMax);
    std::array<mmsghdr, kFrameBatchMax> messages{};
    std::array<iovec, kFrameBatchMax> vectors{};
    for (std::size_t i = 0; i < count; ++i) {
      const OctetString& frame = frames[sent + i];
      vectors[i] = {const_cast<std::uint8_t*>(frame.data()), frame.size()};
      messages[i].msg_hdr.msg_iov = &vectors[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int taken = sendmmsg(impl_->fd, messages.data(), static_cast<unsigned>(count), MSG_DONTWAIT);
    if (taken <= 0) break;
    for (std::size_t i = 0; i < static_cast<std::size_t>(taken); ++i) impl_->trace(frames[sent + i]);
    sent += static_cast<std::size_t>(taken);
  }
  impl_->stats.tx_frames += sent;
  impl_->stats.tx_dropped += frames.size() - sent;
  return sent;
}

FramePortStats FramePort::stats() {
  tpacket_stats kernel{};
  socklen_t length = sizeof(kernel);
  // Reading resets the kernel's count.
  if (getsockopt(impl_->fd, SOL_PACKET, PACKET_STATISTICS, &kernel, &length) == 0)
    impl_->stats.rx_dropped += kernel.tp_drops;
  return impl_->stats;
}

Result<void> FramePort::start_trace(const std::string& path) {
  stop_trace();
  impl_->trace_handle.reset(pcap_open_dead(DLT_EN10MB, kSnapshotOctets));
  impl_->dumper.reset(pcap_dump_open(impl_->trace_handle.get(), path.c_str()));
  if (impl_->dumper) return {};
  const std::string cause = pcap_geterr(impl_->trace_handle.get());
  impl_->trace_handle.reset();
  return unexpected<Error>(Error{"cannot write the trace: " + cause, path, "name a file in a writable folder"});
}

void FramePort::stop_trace() {
  impl_->dumper.reset();
  impl_->trace_handle.reset();
}
bool FramePort::tracing() const { return impl_->dumper != nullptr; }

}  // namespace splitnve::host
