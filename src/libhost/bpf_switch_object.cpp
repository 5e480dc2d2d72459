// SPDX-License-Identifier: Apache-2.0
#include "bpf_switch_object.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/magic.h>
#include <switch.skel.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <filesystem>
#include <optional>

#include "bpf_switch_migrate.hpp"
#include "bpf_switch_tc.hpp"

namespace splitnve::host::bpf {
namespace {

namespace fs = std::filesystem;

constexpr BpfSwitch::Program kPrograms[] = {BpfSwitch::Program::kPort, BpfSwitch::Program::kUplink,
                                            BpfSwitch::Program::kTunnel};
constexpr char kProgramFolder[] = "programs";

// libbpf explains itself on stderr only; the first warning of a load is the one that says why.
thread_local std::string first_warning;

int keep_first_warning(libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN || !first_warning.empty()) return 0;
  char line[256];
  std::vsnprintf(line, sizeof line, format, arguments);
  first_warning = line;
  while (!first_warning.empty() && first_warning.back() == '\n') first_warning.pop_back();
  return 0;
}

unexpected<Error> error(std::string what, std::string where, std::string remedy = "") {
  return unexpected<Error>(Error{std::move(what), std::move(where), std::move(remedy)});
}

fs::path nearest_existing(fs::path path) {
  std::error_code ignored;
  while (!fs::exists(path, ignored) && path.has_relative_path()) path = path.parent_path();
  return path;
}

// What is wrong with BPF here as such, before anything is made: the kernel, then the rights.
Result<void> probe_kernel() {
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_SCHED_CLS;  // an empty program: EINVAL or EFAULT from a kernel that has BPF
  if (::syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes) >= 0 || errno == EINVAL || errno == EFAULT ||
      errno == E2BIG)
    return {};
  if (errno == ENOSYS) return error("this kernel has no BPF", "bpf()", "the eBPF switch needs CONFIG_BPF_SYSCALL");
  if (errno == EPERM || errno == EACCES)
    return error("no permission to use BPF", "bpf()", "run as root, or with CAP_BPF and CAP_NET_ADMIN");
  return error(std::strerror(errno), "bpf()");
}

Result<void> check_pin_root(const fs::path& root) {
  struct statfs status{};
  const auto existing = nearest_existing(root);
  if (::statfs(existing.c_str(), &status) != 0) return error(std::strerror(errno), existing.string());
  if (static_cast<unsigned long>(status.f_type) != BPF_FS_MAGIC)
    return error("no bpffs is mounted here", root.string(), "mount -t bpf bpf /sys/fs/bpf");
  return {};
}

Result<void> check_layouts(const fs::path& root) {
  for (const unsigned layout : layouts_in(root))
    if (layout > SWITCH_LAYOUT)
      return error(
          "pins of a newer layout, " + std::to_string(layout) + "; this version knows " + std::to_string(SWITCH_LAYOUT),
          root.string(), "start the newer version, or let it drain first");
  return {};
}

// No descriptor or memory for the question is no answer.
bool is_no_news(int error) { return error == EMFILE || error == ENFILE || error == ENOMEM; }

// 0: there is no such pin.
std::uint32_t entries_of(const fs::path& pin) {
  const int pinned = bpf_obj_get(pin.c_str());
  if (pinned < 0) return 0;
  bpf_map_info info{};
  std::uint32_t length = sizeof info;
  const bool known = bpf_obj_get_info_by_fd(pinned, &info, &length) == 0;
  ::close(pinned);
  return known ? info.max_entries : 0;
}

std::uint32_t map_id(int fd) {
  bpf_map_info info{};
  std::uint32_t length = sizeof info;
  return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &length) == 0 ? info.id : 0;
}

// 0: nothing of ours; nullopt: the kernel did not say.
std::optional<std::uint32_t> id_at(const char* pin, std::uint32_t (*id_of)(int)) {
  const int pinned = bpf_obj_get(pin);
  if (pinned < 0 && is_no_news(errno)) return std::nullopt;
  const std::uint32_t id = id_of(pinned);
  if (pinned >= 0) ::close(pinned);
  return id;
}

// New maps get the configured size, or that of the older layout whose rows they shall hold; a pinned one must be asked
// for with the size that it has.
void size_maps(switch_bpf* skeleton, std::uint32_t instances, const std::optional<std::string>& older) {
  bpf_map__set_max_entries(skeleton->maps.guard, instances);
  bpf_map__set_max_entries(skeleton->maps.fdb, instances * SWITCH_FDB_PER_INSTANCE);
  bpf_map__set_max_entries(skeleton->maps.ips, instances * SWITCH_IPS_PER_INSTANCE);
  bpf_map__set_max_entries(skeleton->maps.instance_counters, instances);
  bpf_map__set_max_entries(skeleton->maps.link_locals, instances * SWITCH_IPS_PER_INSTANCE);
  bpf_map__set_max_entries(skeleton->maps.storms, instances + SWITCH_ACCESS_MAX);
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, skeleton->obj) {
    const char* pin = bpf_map__pin_path(map);
    if (pin == nullptr) continue;  // constants of the programs
    if (const auto entries = entries_of(pin); entries != 0) {
      bpf_map__set_max_entries(map, entries);
    } else if (older && (bpf_map__type(map) == BPF_MAP_TYPE_HASH || bpf_map__type(map) == BPF_MAP_TYPE_LPM_TRIE)) {
      const auto before = entries_of(fs::path(*older) / bpf_map__name(map));
      bpf_map__set_max_entries(map, std::max(before, bpf_map__max_entries(map)));
    }
  }
}

}  // namespace

Result<std::unique_ptr<Object>> Object::load(const BpfSwitch::Config& config) {
  const fs::path root = fs::path(config.pin_root + "/").parent_path();
  const std::string folder = layout_folder(root, SWITCH_LAYOUT);
  if (auto ok = probe_kernel(); !ok) return unexpected<Error>(ok.error());
  if (auto ok = check_pin_root(root); !ok) return unexpected<Error>(ok.error());
  if (auto ok = check_layouts(root); !ok) return unexpected<Error>(ok.error());
  std::error_code failure;
  fs::create_directories(folder, failure);
  if (failure) return error("cannot make the folder for the pins: " + failure.message(), folder);

  libbpf_set_print(keep_first_warning);
  first_warning.clear();
  bpf_object_open_opts options{};
  options.sz = sizeof options;
  options.pin_root_path = folder.c_str();
  switch_bpf* skeleton = switch_bpf__open_opts(&options);
  if (skeleton == nullptr) return error("cannot read the programs: " + first_warning, folder);
  std::unique_ptr<Object> object(new Object(skeleton, folder));
  const auto older = older_layout(root, SWITCH_LAYOUT);
  if (older) object->older_folder_ = layout_folder(root, *older);
  size_maps(skeleton, config.instances_max, object->older_folder_);
  first_warning.clear();
  const int loaded = switch_bpf__load(skeleton);
  if (loaded != 0) {
    const std::string why = first_warning.empty() ? std::strerror(-loaded) : first_warning;
    return error("the kernel refuses the switch: " + why, folder,
                 loaded == -EPERM ? "needs CAP_BPF and CAP_NET_ADMIN" : "");
  }
  if (older)
    if (auto copied = copy_pins(*object->older_folder_, folder, steps_from(*older)); !copied)
      return unexpected<Error>(copied.error());
  const auto& maps = skeleton->maps;
  object->maps_ = Maps{Map<std::uint32_t, switch_port>(bpf_map__fd(maps.ports)),
                       Map<switch_access_key, switch_access>(bpf_map__fd(maps.access)),
                       Map<switch_guard_key, switch_guard>(bpf_map__fd(maps.guard)),
                       Map<switch_ip_key, std::uint32_t>(bpf_map__fd(maps.ips)),
                       Map<switch_fdb_key, switch_fdb>(bpf_map__fd(maps.fdb)),
                       Map<std::uint32_t, switch_domain>(bpf_map__fd(maps.domains)),
                       Map<std::uint32_t, std::uint32_t>(bpf_map__fd(maps.vnis)),
                       Map<std::uint32_t, switch_counters>(bpf_map__fd(maps.instance_counters)),
                       Map<std::uint32_t, switch_settings>(bpf_map__fd(maps.settings)),
                       Map<switch_mac, std::uint32_t>(bpf_map__fd(maps.own_addresses)),
                       Map<switch_link_local, std::uint32_t>(bpf_map__fd(maps.link_locals)),
                       Map<switch_storm_key, switch_storm>(bpf_map__fd(maps.storms)),
                       bpf_map__fd(maps.floods),
                       bpf_map__fd(maps.drops),
                       bpf_map__fd(maps.strays)};
  for (const auto program : kPrograms) {
    object->known_programs_.push_back(program_id(object->program_fd(program)));
    const int former = bpf_obj_get(object->program_pin(program).c_str());
    if (former < 0) continue;
    object->former_programs_.push_back(former);
    object->known_programs_.push_back(program_id(former));
  }
  return object;
}

Object::Object(switch_bpf* skeleton, std::string folder) : skeleton_(skeleton), folder_(std::move(folder)) {}

Object::~Object() {
  for (const int former : former_programs_) ::close(former);
  switch_bpf__destroy(skeleton_);
}

const char* Object::program_name(BpfSwitch::Program program) {
  switch (program) {
    case BpfSwitch::Program::kPort: return "switch_port";
    case BpfSwitch::Program::kUplink: return "switch_uplink";
    case BpfSwitch::Program::kTunnel: return "switch_tunnel";
  }
  return "";
}

// Beside the layouts, which hold maps alone.
std::string Object::program_pin(BpfSwitch::Program program) const {
  return (fs::path(folder_).parent_path() / kProgramFolder / program_name(program)).string();
}

Result<void> Object::pin_programs() {
  for (const auto program : kPrograms) {
    const std::string pin = program_pin(program);
    std::error_code failure;
    fs::create_directories(fs::path(pin).parent_path(), failure);
    fs::remove(pin, failure);
    if (bpf_obj_pin(program_fd(program), pin.c_str()) != 0)
      return error(std::string("cannot pin a program: ") + std::strerror(errno), pin);
  }
  return {};
}

std::vector<std::string> Object::examine_pins(bool mend) {
  std::vector<std::string> missing;
  const auto examine = [&](const std::string& pin, int fd, bool same) {
    if (same) return;
    missing.push_back(pin);
    if (!mend) return;
    std::error_code ignored;
    fs::create_directories(fs::path(pin).parent_path(), ignored);
    fs::remove(pin, ignored);
    bpf_obj_pin(fd, pin.c_str());
  };
  const auto is_at = [](const char* pin, int fd, std::uint32_t (*id_of)(int)) {
    const auto id = id_at(pin, id_of);
    return !id || *id == id_of(fd);
  };
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, skeleton_->obj) {
    const char* pin = bpf_map__pin_path(map);
    if (pin != nullptr) examine(pin, bpf_map__fd(map), is_at(pin, bpf_map__fd(map), map_id));
  }
  for (const auto program : kPrograms) {
    const std::string pin = program_pin(program);
    examine(pin, program_fd(program), is_at(pin.c_str(), program_fd(program), program_id));
  }
  return missing;
}

int Object::program_fd(BpfSwitch::Program program) const {
  switch (program) {
    case BpfSwitch::Program::kPort: return bpf_program__fd(skeleton_->progs.switch_port);
    case BpfSwitch::Program::kUplink: return bpf_program__fd(skeleton_->progs.switch_uplink);
    case BpfSwitch::Program::kTunnel: return bpf_program__fd(skeleton_->progs.switch_tunnel);
  }
  return -1;
}

Result<void> Object::forget_older() {
  if (!older_folder_) return {};
  auto removed = remove_pins(*older_folder_);
  if (removed) older_folder_.reset();
  return removed;
}

Result<void> Object::unpin() {
  std::error_code failure;
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, skeleton_->obj) {
    const char* pin = bpf_map__pin_path(map);
    if (pin == nullptr) continue;  // constants of the programs
    fs::remove(pin, failure);
    if (failure) return error("cannot remove the pin: " + failure.message(), pin);
  }
  std::error_code ignored;  // somebody else's file in there stays, and so does the folder
  for (const auto program : kPrograms) fs::remove(program_pin(program), ignored);
  fs::remove(fs::path(program_pin(BpfSwitch::Program::kPort)).parent_path(), ignored);
  fs::remove(folder_, ignored);
  fs::remove(fs::path(folder_).parent_path(), ignored);
  return {};
}

}  // namespace splitnve::host::bpf
