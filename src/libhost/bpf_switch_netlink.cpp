// SPDX-License-Identifier: Apache-2.0
#include "bpf_switch_netlink.hpp"

#include <cerrno>
#include <memory>

namespace splitnve::host::bpf::netlink {
namespace {

using MnlSocket = std::unique_ptr<mnl_socket, decltype(&mnl_socket_close)>;

int collect(const nlattr* attribute, void* data) {
  auto& table = *static_cast<std::vector<const nlattr*>*>(data);
  const auto type = mnl_attr_get_type(attribute);
  if (type < table.size()) table[type] = attribute;
  return MNL_CB_OK;
}

}  // namespace

Request::Request(std::uint16_t type, std::uint16_t flags) : buffer(MNL_SOCKET_BUFFER_SIZE) {
  header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = type;
  header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  header->nlmsg_seq = 1;
}

ifinfomsg* Request::link(std::uint32_t ifindex) {
  auto* info = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg)));
  info->ifi_family = AF_UNSPEC;
  info->ifi_index = static_cast<int>(ifindex);
  return info;
}

int exchange(const Request& request, const Visit& visit) {
  const MnlSocket socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC), &mnl_socket_close);
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) return errno;
  if (mnl_socket_sendto(socket.get(), request.header, request.header->nlmsg_len) < 0) return errno;
  const bool dump = (request.header->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
  const bool acked = (request.header->nlmsg_flags & NLM_F_ACK) != 0;
  std::vector<std::uint8_t> answer(64 * 1024);
  const mnl_cb_t call = [](const nlmsghdr* message, void* data) {
    (*static_cast<const Visit*>(data))(message);
    return MNL_CB_OK;
  };
  while (true) {
    const auto length = mnl_socket_recvfrom(socket.get(), answer.data(), answer.size());
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return errno;
    const int more = mnl_cb_run(answer.data(), static_cast<std::size_t>(length), 1, mnl_socket_get_portid(socket.get()),
                                call, const_cast<Visit*>(&visit));
    if (more < 0) return errno;
    if (more == MNL_CB_STOP || (!dump && !acked)) return 0;
  }
}

std::vector<const nlattr*> attributes(const nlmsghdr* message, std::size_t header, std::uint16_t last) {
  std::vector<const nlattr*> found(last + std::size_t{1});
  mnl_attr_parse(message, static_cast<unsigned>(header), collect, &found);
  return found;
}

std::vector<const nlattr*> attributes(const nlattr* nest, std::uint16_t last) {
  std::vector<const nlattr*> found(last + std::size_t{1});
  mnl_attr_parse_nested(nest, collect, &found);
  return found;
}

}  // namespace splitnve::host::bpf::netlink
