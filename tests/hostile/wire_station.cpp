// SPDX-License-Identifier: Apache-2.0
#include "wire_station.hpp"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <random>
#include <stdexcept>
#include <vector>

#include "splitnve/ecp/header.hpp"
#include "splitnve/vdp/extensions.hpp"

namespace splitnve::hostile {
namespace {

constexpr Clock::duration kRepeat = std::chrono::milliseconds(50);
constexpr std::size_t kBatch = 64;

/// Lets pass what is addressed to `own`.
void filter_for(int fd, const MacAddress& own) {
  const auto o = own.octets();
  const std::uint32_t high = std::uint32_t{o[0]} << 24 | std::uint32_t{o[1]} << 16 | std::uint32_t{o[2]} << 8 | o[3];
  const std::uint32_t low = std::uint32_t{o[4]} << 8 | o[5];
  std::array<sock_filter, 6> code{
      sock_filter{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0}, sock_filter{BPF_JMP | BPF_JEQ | BPF_K, 0, 3, high},
      sock_filter{BPF_LD | BPF_H | BPF_ABS, 0, 0, 4}, sock_filter{BPF_JMP | BPF_JEQ | BPF_K, 0, 1, low},
      sock_filter{BPF_RET | BPF_K, 0, 0, 65535},      sock_filter{BPF_RET | BPF_K, 0, 0, 0}};
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) != 0) give_up("cannot attach a filter");
}

}  // namespace

void give_up(const std::string& what) { throw std::runtime_error(what); }

RawPort::RawPort(const std::string& interface_name, std::optional<MacAddress> own)
    : fd_(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)), buffer_(2048) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = own ? htons(ecp::kEtherType) : 0;
  address.sll_ifindex = static_cast<int>(if_nametoindex(interface_name.c_str()));
  if (fd_ < 0 || address.sll_ifindex == 0) give_up("no raw socket on " + interface_name);
  if (own) filter_for(fd_, *own);
  if (bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    give_up("cannot bind to " + interface_name);
}
RawPort::~RawPort() {
  if (fd_ >= 0) close(fd_);
}

void RawPort::send(Octets frame) const {
  if (::send(fd_, frame.data(), frame.size(), 0) != static_cast<ssize_t>(frame.size()))
    give_up(std::string("send: ") + std::strerror(errno));
}

std::size_t RawPort::send_all(std::span<const Octets> frames) const {
  std::array<mmsghdr, kBatch> messages{};
  std::array<iovec, kBatch> vectors{};
  const std::size_t count = std::min(frames.size(), kBatch);
  for (std::size_t i = 0; i < count; ++i) {
    vectors[i] = {const_cast<std::uint8_t*>(frames[i].data()), frames[i].size()};
    messages[i].msg_hdr.msg_iov = &vectors[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  const int taken = sendmmsg(fd_, messages.data(), static_cast<unsigned>(count), 0);
  if (taken < 0 && errno != ENOBUFS) give_up(std::string("sendmmsg: ") + std::strerror(errno));
  return static_cast<std::size_t>(std::max(taken, 0));
}

Octets RawPort::receive(Clock::time_point until) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
  pollfd waiting{fd_, POLLIN, 0};
  if (left <= 0 || poll(&waiting, 1, static_cast<int>(left)) != 1) return {};
  const ssize_t count = recv(fd_, buffer_.data(), buffer_.size(), 0);
  return count <= 0 ? Octets() : Octets(buffer_).first(static_cast<std::size_t>(count));
}

WireStation::WireStation(const Config& config)
    : config_(config),
      port_(config.interface_name, config.own),
      sequence_(static_cast<std::uint16_t>(std::random_device()())) {}

VsiId WireStation::vsi(std::uint32_t number) const {
  VsiId id;
  for (unsigned i = 0; i < 4; ++i)
    id.octets[12 + i] = static_cast<std::uint8_t>((config_.first_vsi + number) >> (24 - 8 * i));
  return id;
}

void WireStation::compose(vdp::TlvType command, std::uint32_t first, std::uint32_t count) {
  std::array<std::uint8_t, limits::kVdpduOctetsMax> buffer{};
  vdp::VdpduWriter writer(buffer, ManagerId{});
  for (std::uint32_t n = first; n < first + count; ++n) {
    vdp::FilterEntry entry;
    entry.group = GroupId(config_.vn);
    entry.mac = MacAddress(0x020000000000ull + config_.first_vsi + n);
    writer.association(command, 0, VsiType{1, 1}, vsi(n), vdp::FilterFormat::kGroupMacVid, std::span(&entry, 1));
  }
  vdp::Capabilities shows;
  shows.system = {};
  std::copy_n(config_.own.octets().begin(), 6, shows.system.begin());
  shows.nonce[0] = 1;
  vdp::write_extension(writer, shows);
  ecp::encode_frame(config_.nnve, config_.own, ecp::Operation::kRequest, EcpSequence(++sequence_), writer.finish(),
                    request_);
}

std::optional<double> WireStation::ask(vdp::TlvType command, std::uint32_t first, std::uint32_t count,
                                       Clock::duration patience) {
  ensure(count <= 37, "one ECPDU holds the command");
  compose(command, first, count);
  first_ = first;
  command_ = command;
  missing_ = (std::uint64_t{1} << count) - 1;
  const auto begun = Clock::now();
  while (missing_ != 0) {
    if (Clock::now() - begun > patience) return std::nullopt;
    port_.send(request_);
    if (!listen(std::min(begun + patience, Clock::now() + kRepeat))) return std::nullopt;
  }
  return std::chrono::duration<double, std::micro>(Clock::now() - begun).count();
}

bool WireStation::listen(Clock::time_point until) {
  while (missing_ != 0) {
    const Octets octets = port_.receive(until);
    if (octets.empty()) return true;
    if (!hear(octets)) return false;
  }
  return true;
}

bool WireStation::hear(Octets octets) {
  const auto frame = ecp::decode_frame(octets);
  if (!frame || frame->operation != ecp::Operation::kRequest) return true;
  bool well = true;
  vdp::VdpduReader reader(frame->payload);
  if (!reader.manager()) return false;
  while (const auto tlv = reader.next()) {
    if (!*tlv) break;
    const auto head = vdp::decode_association_head(**tlv);
    if (!head || (head->status & vdp::kStatusResponse) == 0) continue;
    const Octets id(head->vsi.octets);
    const std::uint32_t number =
        (std::uint32_t{id[12]} << 24 | std::uint32_t{id[13]} << 16 | std::uint32_t{id[14]} << 8 | id[15]) -
        config_.first_vsi;
    // An answer that comes again may be of the command before.
    if (head->command != command_ || number < first_ || number - first_ >= 64) continue;
    missing_ &= ~(std::uint64_t{1} << (number - first_));
    well = well && (head->status & vdp::kStatusCodeMask) == 0;
  }
  OctetString ack;
  ecp::encode_frame(config_.nnve, config_.own, ecp::Operation::kAck, frame->sequence, {}, ack);
  port_.send(ack);
  return well;
}

}  // namespace splitnve::hostile
