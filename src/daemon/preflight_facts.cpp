// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <grp.h>
#include <libmnl/libmnl.h>
#include <linux/capability.h>
#include <linux/if_link.h>
#include <linux/magic.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <type_traits>

#include "preflight.hpp"
#include "splitnve/host/bpf_switch.hpp"
#include "splitnve/host/control.hpp"
#include "splitnve/host/datapath.hpp"
#include "splitnve/host/link_monitor.hpp"

namespace splitnve::daemon {
namespace {

struct Descriptor {
  explicit Descriptor(int number) : fd(number) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int fd;
};

// --- rights ---

std::uint64_t effective_capabilities() {
  std::ifstream status("/proc/self/status");
  std::uint64_t set = 0;
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("CapEff:", 0) != 0) continue;
    const auto digits = line.substr(line.find_last_of(" \t") + 1);
    std::from_chars(digits.data(), digits.data() + digits.size(), set, 16);
  }
  return set;
}

std::vector<Capability> missing_capabilities() {
  const std::uint64_t set = effective_capabilities();
  const auto has = [&](unsigned bit) { return (set >> bit & 1) != 0; };
  std::vector<Capability> missing;
  if (!has(CAP_NET_ADMIN)) missing.push_back(Capability::kNetAdmin);
  if (!has(CAP_NET_RAW)) missing.push_back(Capability::kNetRaw);
  if (!has(CAP_BPF) && !has(CAP_SYS_ADMIN)) missing.push_back(Capability::kBpf);
  if (!has(CAP_PERFMON) && !has(CAP_SYS_ADMIN)) missing.push_back(Capability::kPerfmon);
  return missing;
}

// --- BPF ---

/// A descriptor of the smallest program (`return 0`), or a negative errno.
int load_trivial_program() {
  const std::array<bpf_insn, 2> code = {bpf_insn{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0},
                                        bpf_insn{BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "splitnve_probe", "GPL", code.data(), code.size(), nullptr);
}

std::vector<std::string> missing_bpf() {
  struct Helper {
    bpf_func_id id;
    const char* name;
  };
  // Newest of what src/libhost/bpf/switch.bpf.c calls; older ones came with tc programs themselves.
  static constexpr std::array kHelpers = {Helper{BPF_FUNC_skb_vlan_push, "bpf_skb_vlan_push"},
                                          Helper{BPF_FUNC_skb_vlan_pop, "bpf_skb_vlan_pop"},
                                          Helper{BPF_FUNC_skb_get_tunnel_key, "bpf_skb_get_tunnel_key"},
                                          Helper{BPF_FUNC_skb_set_tunnel_key, "bpf_skb_set_tunnel_key"},
                                          Helper{BPF_FUNC_clone_redirect, "bpf_clone_redirect"}};
  std::vector<std::string> missing;
  for (const auto& helper : kHelpers)
    if (libbpf_probe_bpf_helper(BPF_PROG_TYPE_SCHED_CLS, helper.id, nullptr) == 0) missing.emplace_back(helper.name);
  if (libbpf_probe_bpf_map_type(BPF_MAP_TYPE_HASH, nullptr) == 0) missing.emplace_back("hash maps");
  if (libbpf_probe_bpf_map_type(BPF_MAP_TYPE_PERCPU_ARRAY, nullptr) == 0) missing.emplace_back("per-CPU array maps");
  return missing;
}

// --- parts of the network stack, made in a namespace that ends with a child ---

struct NetworkProbe {
  bool ran = false;
  int clsact = 0, cls_bpf = 0, vxlan = 0;
};
static_assert(std::is_trivially_copyable_v<NetworkProbe>);

int make_external_vxlan() {
  const std::unique_ptr<mnl_socket, decltype(&mnl_socket_close)> socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC),
                                                                        &mnl_socket_close);
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) return errno;
  std::vector<char> buffer(static_cast<std::size_t>(MNL_SOCKET_BUFFER_SIZE));
  nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = RTM_NEWLINK;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
  mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg));
  mnl_attr_put_strz(header, IFLA_IFNAME, "probe0");
  nlattr* link = mnl_attr_nest_start(header, IFLA_LINKINFO);
  mnl_attr_put_strz(header, IFLA_INFO_KIND, "vxlan");
  nlattr* data = mnl_attr_nest_start(header, IFLA_INFO_DATA);
  mnl_attr_put_u8(header, IFLA_VXLAN_COLLECT_METADATA, 1);
  mnl_attr_nest_end(header, data);
  mnl_attr_nest_end(header, link);
  if (mnl_socket_sendto(socket.get(), header, header->nlmsg_len) < 0) return errno;
  const auto length = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
  if (length < 0) return errno;
  const auto answered = mnl_cb_run(buffer.data(), static_cast<std::size_t>(length), 0,
                                   mnl_socket_get_portid(socket.get()), nullptr, nullptr);
  return answered < 0 ? errno : 0;
}

NetworkProbe probe_here(bool with_vxlan) {
  NetworkProbe probe;
  if (::unshare(CLONE_NEWNET) != 0) return probe;
  probe.ran = true;
  bpf_tc_hook hook{};
  hook.sz = sizeof hook;
  hook.ifindex = 1;  // the loopback interface of a new namespace
  hook.attach_point = BPF_TC_INGRESS;
  probe.clsact = -bpf_tc_hook_create(&hook);
  const Descriptor program(load_trivial_program());
  if (probe.clsact == 0 && program.fd >= 0) {
    bpf_tc_opts filter{};
    filter.sz = sizeof filter;
    filter.prog_fd = program.fd;
    probe.cls_bpf = -bpf_tc_attach(&hook, &filter);
  }
  if (with_vxlan) probe.vxlan = make_external_vxlan();
  return probe;
}

NetworkProbe probe_network(bool with_vxlan) {
  NetworkProbe probe;
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return probe;
  const Descriptor in(ends[0]);
  Descriptor out(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return probe;
  if (child == 0) {
    const NetworkProbe told = probe_here(with_vxlan);
    ::_exit(::write(out.fd, &told, sizeof told) == sizeof told ? 0 : 1);
  }
  ::close(std::exchange(out.fd, -1));
  NetworkProbe told;
  if (::read(in.fd, &told, sizeof told) == sizeof told) probe = told;
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  return probe;
}

// --- places ---

std::string parent_of(const std::string& path) {
  const auto end = path.find_last_not_of('/');
  const auto slash = path.find_last_of('/', end);
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string nearest_existing(std::string path) {
  struct stat info{};
  while (path != "/" && path != "." && ::stat(path.c_str(), &info) != 0) path = parent_of(path);
  return path;
}

MachineFacts::Path path_fact(const std::string& path) {
  MachineFacts::Path fact{path, nearest_existing(path), 0};
  struct stat info{};
  if (::stat(fact.obstacle.c_str(), &info) != 0) {
    fact.error = errno;
    return fact;
  }
  const bool folder = S_ISDIR(info.st_mode);
  if (!folder && fact.obstacle != path)
    fact.error = ENOTDIR;
  else if (::faccessat(AT_FDCWD, fact.obstacle.c_str(), folder ? W_OK | X_OK : W_OK, AT_EACCESS) != 0)
    fact.error = errno;
  return fact;
}

bool is_bpffs(const std::string& path) {
  struct statfs status{};
  if (::statfs(nearest_existing(path).c_str(), &status) != 0) return false;
  return static_cast<unsigned long>(status.f_type) == BPF_FS_MAGIC;
}

// --- the underlay ---

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

SocketAddress socket_address(const datapath::UnderlayAddress& address, std::uint16_t port) {
  SocketAddress result;
  if (address.is_ipv4()) {
    sockaddr_in ipv4{};
    ipv4.sin_family = AF_INET;
    ipv4.sin_port = htons(port);
    std::memcpy(&ipv4.sin_addr, address.octets.data() + 12, 4);
    std::memcpy(&result.storage, &ipv4, sizeof ipv4);
    result.length = sizeof ipv4;
  } else {
    sockaddr_in6 ipv6{};
    ipv6.sin6_family = AF_INET6;
    ipv6.sin6_port = htons(port);
    std::memcpy(&ipv6.sin6_addr, address.octets.data(), 16);
    std::memcpy(&result.storage, &ipv6, sizeof ipv6);
    result.length = sizeof ipv6;
  }
  return result;
}

int open_udp(const datapath::UnderlayAddress& address) {
  return ::socket(address.is_ipv4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

int bind_error(const datapath::UnderlayAddress& local) {
  const Descriptor udp(open_udp(local));
  if (udp.fd < 0) return errno;
  const auto address = socket_address(local, 0);
  return ::bind(udp.fd, address.get(), address.length) == 0 ? 0 : errno;
}

/// Any address: a tunnel of the kernel takes the port for all of them.
int port_error(std::uint16_t port) {
  const Descriptor udp(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (udp.fd < 0) return errno;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  return ::bind(udp.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
}

/// A connected UDP socket knows its route's MTU; nothing is sent.
MachineFacts::Route route_to(const datapath::UnderlayAddress& remote) {
  constexpr std::uint16_t kDiscard = 9;
  MachineFacts::Route route{remote, 0, 0};
  const Descriptor udp(open_udp(remote));
  const auto address = socket_address(remote, kDiscard);
  int mtu = 0;
  socklen_t length = sizeof mtu;
  if (udp.fd < 0 || ::connect(udp.fd, address.get(), address.length) != 0 ||
      ::getsockopt(udp.fd, remote.is_ipv4() ? int{IPPROTO_IP} : int{IPPROTO_IPV6}, remote.is_ipv4() ? IP_MTU : IPV6_MTU,
                   &mtu, &length) != 0)
    route.error = errno;
  route.mtu = static_cast<unsigned>(mtu);
  return route;
}

void gather_kernel(const MachineNeeds& needs, MachineFacts& facts) {
  libbpf_set_print([](libbpf_print_level, const char*, va_list) { return 0; });
  const Descriptor program(load_trivial_program());
  facts.bpf_program = program.fd < 0 ? -program.fd : 0;
  struct stat info{};
  facts.btf = ::stat("/sys/kernel/btf/vmlinux", &info) == 0;
  if (facts.bpf_program != 0) return;  // the other probes would only repeat why
  facts.missing_bpf = missing_bpf();
  const NetworkProbe probe = probe_network(needs.local.has_value());
  if (!probe.ran) return;
  facts.clsact = probe.clsact;
  if (probe.clsact == 0) facts.cls_bpf = probe.cls_bpf;
  if (needs.local) facts.vxlan = probe.vxlan;
}

// Taps come and go with their VMs, a second instance was told itself: neither is a fault of the machine.
bool is_of_the_machine(const std::string& part) {
  return part != host::to_string(host::KernelPart::kInterface) && part != host::to_string(host::KernelPart::kClaim);
}

std::vector<MachineFacts::Loss> losses_told_by(const std::string& socket) {
  constexpr Duration kPatience = std::chrono::seconds(2);
  std::vector<MachineFacts::Loss> losses;
  const auto client = host::ControlClient::connect(socket, kPatience);
  if (!client) return losses;  // it does not run
  const auto add = [&](const nlohmann::json& row) {
    if (is_of_the_machine(row.value("part", "")))
      losses.push_back({row.value("where", ""), row.value("what", ""), row.value("seconds_ago", std::uint64_t{0})});
  };
  if (!(*client)->call("kernel.show", nlohmann::json::object(), add, kPatience)) losses.clear();  // an older version
  return losses;
}

}  // namespace

MachineFacts gather_facts(const MachineNeeds& needs) {
  MachineFacts facts;
  facts.missing_capabilities = missing_capabilities();
  gather_kernel(needs, facts);
  facts.losses = losses_told_by(needs.paths.control_socket);
  facts.bpffs = is_bpffs(needs.paths.pins);
  for (const auto& path : {needs.paths.control_socket, needs.paths.store, needs.paths.pins})
    facts.paths.push_back(path_fact(path));
  for (const auto& group : needs.groups)
    if (::getgrnam(group.c_str()) == nullptr) facts.missing_groups.push_back(group);
  std::map<unsigned, std::string> known;
  for (const auto& name : needs.interfaces) {
    const auto link = host::link_of(name);
    if (!link) {
      facts.interfaces.push_back({name, 0, link.error()});
      continue;
    }
    facts.interfaces.push_back({name, link->mtu, std::nullopt});
    const auto role = needs.uplinks ? datapath::PortRole::kUplink : datapath::PortRole::kAccess;
    if (const auto [other, fresh] = known.emplace(link->index, name); !fresh)
      facts.interfaces.back().refusal =
          Error{other->second + " is another name of the same interface", name, "configure it once"};
    else if (const auto fit = host::BpfSwitch::check_port(name, role, needs.paths.pins); !fit)
      facts.interfaces.back().refusal = fit.error();
  }
  if (needs.local) facts.local_address = bind_error(*needs.local);
  if (needs.local && needs.udp_port != 0 && !host::link_of(needs.vxlan)) facts.udp_port = port_error(needs.udp_port);
  for (const auto& remote : std::set(needs.remotes.begin(), needs.remotes.end()))
    facts.routes.push_back(route_to(remote));
  return facts;
}

}  // namespace splitnve::daemon
