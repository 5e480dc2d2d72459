// SPDX-License-Identifier: Apache-2.0
// One rtnetlink request and its answers.
#pragma once
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace splitnve::host::bpf::netlink {

struct Request {
  std::vector<std::uint8_t> buffer;
  nlmsghdr* header = nullptr;

  Request(std::uint16_t type, std::uint16_t flags);
  ifinfomsg* link(std::uint32_t ifindex);
};

using Visit = std::function<void(const nlmsghdr*)>;
/// Sends one request and visits what comes back until its end; returns 0 or errno.
int exchange(const Request& request, const Visit& visit = [](const nlmsghdr*) {});

/// The attributes behind a header of so many octets, or within another attribute; nullptr where one is absent.
std::vector<const nlattr*> attributes(const nlmsghdr* message, std::size_t header, std::uint16_t last);
std::vector<const nlattr*> attributes(const nlattr* nest, std::uint16_t last);

}  // namespace splitnve::host::bpf::netlink
