// SPDX-License-Identifier: Apache-2.0
// What stands at an interface's ingress, and our place in it: tc filters by netlink, TCX by bpf(2). Whose a program is,
// its id says, which pins and dumps tell without privilege; names can be had by anybody.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "splitnve/base/result.hpp"

namespace splitnve::host::bpf {

/// Handle and priority of our filter. It may stand at a lower priority where somebody else's came before it.
inline constexpr std::uint32_t kFilterHandle = 0x534E;
inline constexpr std::uint32_t kFilterPriority = 0x564E;

/// Where an instance that was refused leaves word for the one that serves the port: behind ours, and of no effect.
inline constexpr std::uint32_t kClaimHandle = 0x534F;
inline constexpr std::uint32_t kClaimPriority = 0x564F;

/// What tells a later start that an interface is down because it was closed; of no effect either.
inline constexpr std::uint32_t kClosedHandle = 0x5350;
inline constexpr std::uint32_t kClosedPriority = 0x5650;

struct Filter {
  std::uint32_t priority = 0;
  std::uint32_t handle = 0;
  std::uint32_t program = 0;  ///< 0: no BPF
  std::string name;           ///< of the program and its owner, or the kind of filter
  bool is_at_our_place() const { return handle == kFilterHandle && program != 0; }
  bool is_claim() const { return handle == kClaimHandle && priority == kClaimPriority; }
  /// Of a filter of ours or of another instance: the pin root that it names. Empty: none.
  std::string owner() const;
};

/// Everything at an interface's ingress that may see a frame before the kernel's own stack, in the order of its turn.
struct Ingress {
  std::vector<std::uint32_t> tcx;  ///< programs of TCX, which run before any filter
  std::vector<Filter> filters;     ///< of tc, by priority
  bool shared = false;             ///< the filters are of a block that other interfaces have, too
  bool netkit = false;             ///< a netkit device whose own programs decide before all of these
  const Filter* ours() const;      ///< what stands at our handle, whosever it is
  const Filter* claim() const;
  bool is_marked_closed() const;
};
/// Error: errno as text; nothing is known then.
Result<Ingress> read_ingress(std::uint32_t ifindex);

/// 0: the descriptor is no program.
std::uint32_t program_id(int fd);

/// What is attached: a program, its name, and the pin root of its instance.
struct Attachment {
  int program_fd = -1;
  std::string program;
  std::string owner;
};
/// Attaches a program at tc ingress, at the priority where ours stands or the usual one, or replaces ours there without
/// a gap. Takes the interface out of a block of filters that others share. Returns whether the clsact qdisc was made.
Result<bool> attach_filter(std::uint32_t ifindex, const std::string& name, const Attachment& what);
/// Leaves a claim of `owner` at an interface that another instance serves.
void leave_claim(std::uint32_t ifindex, const std::string& owner);
void remove_claim(std::uint32_t ifindex);
void mark_closed(std::uint32_t ifindex, const std::string& owner);
void unmark_closed(std::uint32_t ifindex);
/// Takes the filter at our handle off; `with_clsact` takes the qdisc too, unless somebody else uses it.
void detach_filter(std::uint32_t ifindex, bool with_clsact);
/// The qdisc with all its filters goes: the only way out of a shared block.
void remove_clsact(std::uint32_t ifindex);
/// Brings our filter before every other one: by TCX where the kernel has it, else by its priority. Where there is no
/// room before a foreign filter (priority 1), that one is removed if `displace`. Returns false if it could not.
bool go_in_front(std::uint32_t ifindex, const std::string& name, const Attachment& what, bool displace);
/// Takes a program off TCX; not there is fine.
void detach_tcx(std::uint32_t ifindex, int program_fd);

}  // namespace splitnve::host::bpf
