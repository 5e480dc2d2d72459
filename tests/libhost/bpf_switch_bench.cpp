// SPDX-License-Identifier: Apache-2.0
// What one frame costs in the program of a port: nanoseconds by BPF_PROG_TEST_RUN, the least of several runs, so that
// a busy machine disturbs little. Run it by tests/netns/isolate.sh; no test, for it bounds nothing.
#include <bpf/bpf.h>
#include <net/if.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "ip_frames.hpp"

namespace splitnve::test {
namespace {

using datapath::PortRole;
using Program = host::BpfSwitch::Program;

constexpr std::uint32_t kVm = 1, kUplink = 2, kBlue = 10;
constexpr unsigned kRuns = 40;
const MacAddress kAlice = mac(1), kBob = mac(2);

class BpfBench : public BpfSwitchTest {
 protected:
  void SetUp() override {
    BpfSwitchTest::SetUp();
    for (const auto* name : {"vm", "upl"}) add_pair(name);
    open();
    datapath::Rows rows;
    rows.ports = {port_row(kVm, "vm", PortRole::kVm), port_row(kUplink, "upl", PortRole::kUplink)};
    rows.domains = {{DomainId(kBlue), true, 0, member(kUplink, 300), {member(kVm, 0)}, {}}};
    rows.access = {access_row(kVm, 0, kBlue), access_row(kUplink, 300, kBlue)};
    rows.guards = {guard_row(kBlue, kVm, kAlice, 1)};
    rows.fdb = {local_row(kBlue, kAlice, 1, kVm, 0), local_row(kBlue, kBob, 2, kUplink, 0)};
    apply(rows);
  }

  void report(const char* what, const Frame& frame) const {
    const auto octets = frame.octets();
    __sk_buff context{};
    context.ifindex = ::if_nametoindex("vm");
    unsigned least = ~0u;
    for (unsigned i = 0; i < kRuns; ++i) {
      bpf_test_run_opts options{};
      options.sz = sizeof options;
      options.data_in = octets.data();
      options.data_size_in = static_cast<std::uint32_t>(octets.size());
      options.ctx_in = &context;
      options.ctx_size_in = sizeof context;
      options.repeat = 50000;
      ASSERT_EQ(bpf_prog_test_run_opts(bpf_switch_->program_fd(Program::kPort), &options), 0) << std::strerror(errno);
      ASSERT_EQ(options.retval, static_cast<std::uint32_t>(kRedirected));
      least = std::min(least, options.duration);
    }
    std::printf("%-40s %4u ns\n", what, least);
  }
};

TEST_F(BpfBench, of_the_port_program) {
  bpf_prog_info info{};
  std::uint32_t length = sizeof info;
  ASSERT_EQ(bpf_obj_get_info_by_fd(bpf_switch_->program_fd(Program::kPort), &info, &length), 0);
  std::printf("instructions: %zu loaded, %u verified; %u octets of machine code\n",
              info.xlated_prog_len / sizeof(bpf_insn), info.verified_insns, info.jited_prog_len);
  const Frame four{kBob, kAlice, {}, kIpv4Type, ipv4("192.0.2.7", kUdp, udp(1, 2))};
  const Frame six{kBob, kAlice, {}, kIpv6Type, ipv6("2001:db8::7", kUdp, udp(1, 2))};
  const Frame advert{kBob,
                     kAlice,
                     {},
                     kIpv6Type,
                     ipv6("2001:db8::7", kIcmpv6, neighbour(kAdvert, "2001:db8::7", link_option(2, kAlice)))};
  report("no IP signalled, IPv4 UDP", four);
  report("no IP signalled, IPv6 UDP", six);
  datapath::Rows rows;
  rows.ips = {ip_row(1, kAlice, "192.0.2.7"), ip_row(1, kAlice, "2001:db8::7")};
  rows.guards = {guard_row(kBlue, kVm, kAlice, 1)};
  rows.guards[0].ip = {true, true, false, false};
  apply(rows);
  report("one address per family, IPv4 UDP", four);
  report("one address per family, IPv6 UDP", six);
  report("one address per family, advertisement", advert);
  rows.ips.clear();
  for (std::uint32_t n = 0; n < 200; ++n) rows.ips.push_back(ip_row(1, kAlice, "192.0.2." + std::to_string(n)));
  for (std::uint32_t n = 0; n < 100000; ++n)
    rows.ips.push_back(
        ip_row(2 + n / 200, mac(n / 200), "10.0." + std::to_string(n / 250 % 250) + "." + std::to_string(n % 250)));
  apply(rows);
  report("200 addresses, 100,000 of others, IPv4 UDP", four);
  report("200 addresses, 100,000 of others, IPv6 UDP", six);
}

}  // namespace
}  // namespace splitnve::test
