// SPDX-License-Identifier: Apache-2.0
#include "bpf_switch_tc.hpp"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <libmnl/libmnl.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "bpf_switch_netlink.hpp"

namespace splitnve::host::bpf {
namespace {

// TCX (Linux 6.6) and netkit (6.7) are younger than the headers of Debian 12.
constexpr std::uint32_t kTcxIngress = 46;
constexpr std::uint32_t kNetkitPrimary = 54;
constexpr std::uint32_t kNetkitPeer = 55;
constexpr std::size_t kFilterNameOctetsMax = 255;  // the kernel's, without the zero
constexpr std::uint32_t kBefore = 1u << 3;         // BPF_F_BEFORE, of nothing in particular: of all

struct QueryAttributes {
  std::uint32_t ifindex = 0;
  std::uint32_t attach_type = 0;
  std::uint32_t query_flags = 0;
  std::uint32_t attach_flags = 0;
  std::uint64_t program_ids = 0;
  std::uint32_t count = 0;
  std::uint32_t zero = 0;
  std::uint64_t program_attach_flags = 0;
  std::uint64_t link_ids = 0;
  std::uint64_t link_attach_flags = 0;
  std::uint64_t revision = 0;
};
struct AttachAttributes {
  std::uint32_t ifindex = 0;
  std::uint32_t program_fd = 0;
  std::uint32_t attach_type = 0;
  std::uint32_t attach_flags = 0;
  std::uint32_t replace_fd = 0;
  std::uint32_t relative = 0;
  std::uint64_t revision = 0;
};

unexpected<Error> failed(const std::string& what, const std::string& where, int error) {
  return unexpected<Error>(
      Error{what + ": " + std::strerror(error), where, error == EPERM ? "needs CAP_NET_ADMIN" : ""});
}

// Programs attached at one place of an interface, in their order; none where the kernel does not know the place.
std::vector<std::uint32_t> query(std::uint32_t ifindex, std::uint32_t attach_type) {
  std::array<std::uint32_t, 64> ids{};
  QueryAttributes attributes;
  attributes.ifindex = ifindex;
  attributes.attach_type = attach_type;
  attributes.program_ids = reinterpret_cast<std::uintptr_t>(ids.data());
  attributes.count = ids.size();
  if (::syscall(SYS_bpf, BPF_PROG_QUERY, &attributes, sizeof attributes) != 0) return {};
  return {ids.begin(), ids.begin() + std::min<std::size_t>(attributes.count, ids.size())};
}

int tcx(int command, std::uint32_t ifindex, int program_fd, std::uint32_t flags) {
  AttachAttributes attributes;
  attributes.ifindex = ifindex;
  attributes.program_fd = static_cast<std::uint32_t>(program_fd);
  attributes.attach_type = kTcxIngress;
  attributes.attach_flags = flags;
  return ::syscall(SYS_bpf, command, &attributes, sizeof attributes) == 0 ? 0 : errno;
}

int dump_filters(std::uint32_t ifindex, std::uint32_t direction, const netlink::Visit& visit) {
  netlink::Request request(RTM_GETTFILTER, NLM_F_DUMP);
  auto* tc = static_cast<tcmsg*>(mnl_nlmsg_put_extra_header(request.header, sizeof(tcmsg)));
  tc->tcm_family = AF_UNSPEC;
  tc->tcm_ifindex = static_cast<int>(ifindex);
  tc->tcm_parent = TC_H_MAKE(TC_H_CLSACT, direction);
  return netlink::exchange(request, visit);
}

Filter filter_of(const nlmsghdr* message) {
  const auto* tc = static_cast<const tcmsg*>(mnl_nlmsg_get_payload(message));
  Filter filter;
  filter.priority = TC_H_MAJ(tc->tcm_info) >> 16;
  filter.handle = tc->tcm_handle;
  const auto outer = netlink::attributes(message, sizeof(tcmsg), TCA_MAX);
  if (outer[TCA_KIND] != nullptr) filter.name = mnl_attr_get_str(outer[TCA_KIND]);
  if (filter.name != "bpf" || outer[TCA_OPTIONS] == nullptr) return filter;
  const auto inner = netlink::attributes(outer[TCA_OPTIONS], TCA_BPF_MAX);
  if (inner[TCA_BPF_NAME] != nullptr) filter.name = mnl_attr_get_str(inner[TCA_BPF_NAME]);
  if (inner[TCA_BPF_ID] != nullptr) filter.program = mnl_attr_get_u32(inner[TCA_BPF_ID]);
  return filter;
}

bool has_filters(std::uint32_t ifindex) {
  std::size_t filters = 0;
  for (const std::uint32_t direction : {TC_H_MIN_INGRESS, TC_H_MIN_EGRESS})
    dump_filters(ifindex, direction, [&](const nlmsghdr*) { ++filters; });
  return filters > 0;
}

bpf_tc_hook ingress_of(std::uint32_t ifindex) {
  bpf_tc_hook hook{};
  hook.sz = sizeof hook;
  hook.ifindex = static_cast<int>(ifindex);
  hook.attach_point = BPF_TC_INGRESS;
  return hook;
}

bpf_tc_opts our_filter(std::uint32_t priority) {
  bpf_tc_opts filter{};
  filter.sz = sizeof filter;
  filter.handle = kFilterHandle;
  filter.priority = priority;
  return filter;
}

// libbpf would name the filter after its program alone.
int put_filter(std::uint32_t ifindex, int program_fd, const std::string& name, std::uint32_t priority,
               std::uint32_t handle = kFilterHandle) {
  netlink::Request request(RTM_NEWTFILTER, NLM_F_ACK | NLM_F_CREATE);
  auto* tc = static_cast<tcmsg*>(mnl_nlmsg_put_extra_header(request.header, sizeof(tcmsg)));
  tc->tcm_family = AF_UNSPEC;
  tc->tcm_ifindex = static_cast<int>(ifindex);
  tc->tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
  tc->tcm_handle = handle;
  tc->tcm_info = TC_H_MAKE(priority << 16, htons(ETH_P_ALL));
  mnl_attr_put_strz(request.header, TCA_KIND, "bpf");
  auto* options = mnl_attr_nest_start(request.header, TCA_OPTIONS);
  mnl_attr_put_u32(request.header, TCA_BPF_FD, static_cast<std::uint32_t>(program_fd));
  mnl_attr_put_strz(request.header, TCA_BPF_NAME, name.substr(0, kFilterNameOctetsMax).c_str());
  mnl_attr_put_u32(request.header, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
  mnl_attr_nest_end(request.header, options);
  return netlink::exchange(request);
}

int put_filter(std::uint32_t ifindex, const Attachment& what, std::uint32_t priority) {
  const auto id = program_id(what.program_fd);
  return put_filter(ifindex, what.program_fd, what.program + ":[" + std::to_string(id) + "] " + what.owner, priority);
}

std::uint32_t priority_at(std::uint32_t ifindex) {
  const auto ingress = read_ingress(ifindex);
  const auto* ours = ingress ? ingress->ours() : nullptr;
  return ours == nullptr ? kFilterPriority : ours->priority;
}

void remove_filter(std::uint32_t ifindex, const Filter& filter) {
  netlink::Request request(RTM_DELTFILTER, NLM_F_ACK);
  auto* tc = static_cast<tcmsg*>(mnl_nlmsg_put_extra_header(request.header, sizeof(tcmsg)));
  tc->tcm_family = AF_UNSPEC;
  tc->tcm_ifindex = static_cast<int>(ifindex);
  tc->tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
  tc->tcm_info = TC_H_MAKE(filter.priority << 16, 0);  // all of that priority, whatever their protocol and kind
  netlink::exchange(request);
}

// A filter that decides nothing, for its name.
void put_note(std::uint32_t ifindex, const std::string& text, std::uint32_t priority, std::uint32_t handle) {
  bpf_insn code[2] = {};  // r0 = TC_ACT_UNSPEC; exit
  code[0].code = BPF_ALU64 | BPF_MOV | BPF_K;
  code[0].imm = TC_ACT_UNSPEC;
  code[1].code = BPF_JMP | BPF_EXIT;
  const int program = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "splitnve_claim", "GPL", code, 2, nullptr);
  if (program < 0) return;
  put_filter(ifindex, program, text, priority, handle);
  ::close(program);
}

void remove_note(std::uint32_t ifindex, std::uint32_t priority) {
  Filter note;
  note.priority = priority;
  remove_filter(ifindex, note);
}

}  // namespace

std::string Filter::owner() const {
  const auto path = name.find(" /");
  return path == std::string::npos ? std::string() : name.substr(path + 1);
}

const Filter* Ingress::claim() const {
  const auto at = std::find_if(filters.begin(), filters.end(), [](const Filter& one) { return one.is_claim(); });
  return at == filters.end() ? nullptr : &*at;
}

bool Ingress::is_marked_closed() const {
  return std::any_of(filters.begin(), filters.end(),
                     [](const Filter& one) { return one.handle == kClosedHandle && one.priority == kClosedPriority; });
}

const Filter* Ingress::ours() const {
  const auto at = std::find_if(filters.begin(), filters.end(), [](const Filter& one) { return one.is_at_our_place(); });
  return at == filters.end() ? nullptr : &*at;
}

Result<Ingress> read_ingress(std::uint32_t ifindex) {
  Ingress ingress;
  const int error = dump_filters(ifindex, TC_H_MIN_INGRESS, [&](const nlmsghdr* message) {
    const auto* tc = static_cast<const tcmsg*>(mnl_nlmsg_get_payload(message));
    ingress.shared = ingress.shared || static_cast<std::uint32_t>(tc->tcm_ifindex) == TCM_IFINDEX_MAGIC_BLOCK;
    // A dump names the priority first, then its filters; of some kinds the filter has no handle.
    Filter filter = filter_of(message);
    if (filter.handle != 0) ingress.filters.push_back(std::move(filter));
  });
  if (error != 0 && error != ENODEV && error != EINVAL) return failed("cannot read the tc filters", "", error);
  std::stable_sort(ingress.filters.begin(), ingress.filters.end(),
                   [](const Filter& a, const Filter& b) { return a.priority < b.priority; });
  ingress.tcx = query(ifindex, kTcxIngress);
  ingress.netkit = !query(ifindex, kNetkitPrimary).empty() || !query(ifindex, kNetkitPeer).empty();
  return ingress;
}

std::uint32_t program_id(int fd) {
  bpf_prog_info info{};
  std::uint32_t length = sizeof info;
  return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &length) == 0 ? info.id : 0;
}

Result<bool> attach_filter(std::uint32_t ifindex, const std::string& name, const Attachment& what) {
  auto hook = ingress_of(ifindex);
  int made = bpf_tc_hook_create(&hook);
  if (made != 0 && made != -EEXIST) return failed("cannot add the clsact qdisc", name, -made);
  int error = put_filter(ifindex, what, made == 0 ? kFilterPriority : priority_at(ifindex));
  // Into a block that other interfaces share, nothing of one interface's own can go. No other failure justifies this:
  // with the qdisc goes what guards the port now.
  if (error == EOPNOTSUPP && made == -EEXIST) {
    remove_clsact(ifindex);
    made = bpf_tc_hook_create(&hook);
    if (made != 0) return failed("cannot add the clsact qdisc", name, -made);
    error = put_filter(ifindex, what, kFilterPriority);
  }
  if (error != 0) return failed("cannot attach the switch program", name, error);
  return made == 0;
}

void leave_claim(std::uint32_t ifindex, const std::string& owner) {
  put_note(ifindex, "claimed by " + owner, kClaimPriority, kClaimHandle);
}

void remove_claim(std::uint32_t ifindex) { remove_note(ifindex, kClaimPriority); }

void mark_closed(std::uint32_t ifindex, const std::string& owner) {
  put_note(ifindex, "closed by " + owner, kClosedPriority, kClosedHandle);
}

void unmark_closed(std::uint32_t ifindex) { remove_note(ifindex, kClosedPriority); }

void detach_filter(std::uint32_t ifindex, bool with_clsact) {
  const auto filter = our_filter(priority_at(ifindex));
  auto hook = ingress_of(ifindex);
  bpf_tc_detach(&hook, &filter);
  unmark_closed(ifindex);
  if (with_clsact && !has_filters(ifindex)) remove_clsact(ifindex);
}

void remove_clsact(std::uint32_t ifindex) {
  auto hook = ingress_of(ifindex);
  hook.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
  bpf_tc_hook_destroy(&hook);
}

bool go_in_front(std::uint32_t ifindex, const std::string& name, const Attachment& what, bool displace) {
  const auto ingress = read_ingress(ifindex);
  if (!ingress) return false;
  tcx(BPF_PROG_DETACH, ifindex, what.program_fd, 0);
  if (tcx(BPF_PROG_ATTACH, ifindex, what.program_fd, kBefore) == 0) return true;
  if (!ingress->tcx.empty()) return false;
  const auto* ours = ingress->ours();
  if (ours == nullptr || ours == ingress->filters.data()) return ours != nullptr;
  const std::uint32_t first = ingress->filters.front().priority;
  if (first > 1) {
    if (put_filter(ifindex, what, first - 1) != 0) return false;
    const auto left = our_filter(ours->priority);
    auto hook = ingress_of(ifindex);
    bpf_tc_detach(&hook, &left);
    return true;
  }
  if (!displace) return false;
  remove_filter(ifindex, ingress->filters.front());
  return ours->priority != first || attach_filter(ifindex, name, what).has_value();
}

void detach_tcx(std::uint32_t ifindex, int program_fd) { tcx(BPF_PROG_DETACH, ifindex, program_fd, 0); }

}  // namespace splitnve::host::bpf
