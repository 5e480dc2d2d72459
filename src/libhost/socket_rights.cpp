// SPDX-License-Identifier: Apache-2.0
#include "socket_rights.hpp"

#include <endian.h>
#include <grp.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace splitnve::host {
namespace {

constexpr std::uint32_t kNobody = static_cast<std::uint32_t>(ACL_UNDEFINED_ID);

posix_acl_xattr_entry entry(unsigned tag, mode_t permissions, std::uint32_t id) {
  return {htole16(static_cast<std::uint16_t>(tag)), htole16(static_cast<std::uint16_t>(permissions & 07)), htole32(id)};
}

/// acl(5), in the kernel's order: ascending by tag and id.
bool set_access_list(const std::string& path, mode_t mode, std::vector<gid_t> groups) {
  std::sort(groups.begin(), groups.end());
  std::vector<posix_acl_xattr_entry> entries{entry(ACL_USER_OBJ, mode >> 6, kNobody),
                                             entry(ACL_GROUP_OBJ, mode >> 3, kNobody)};
  for (const gid_t group : groups) entries.push_back(entry(ACL_GROUP, mode >> 3, group));
  entries.push_back(entry(ACL_MASK, mode >> 3, kNobody));
  entries.push_back(entry(ACL_OTHER, mode, kNobody));
  const posix_acl_xattr_header header{htole32(POSIX_ACL_XATTR_VERSION)};
  std::vector<char> value(sizeof header + entries.size() * sizeof entries[0]);
  std::memcpy(value.data(), &header, sizeof header);
  std::memcpy(value.data() + sizeof header, entries.data(), value.size() - sizeof header);
  return ::setxattr(path.c_str(), "system.posix_acl_access", value.data(), value.size(), 0) == 0;
}

unexpected<Error> failed(const char* what, const std::string& path, const char* remedy) {
  return unexpected<Error>(Error{std::string(what) + ": " + std::strerror(errno), path, remedy});
}

}  // namespace

Result<std::optional<gid_t>> group_id(const std::string& name) {
  if (name.empty()) return std::optional<gid_t>();
  errno = 0;
  const group* found = getgrnam(name.c_str());
  if (found == nullptr)
    return unexpected<Error>(Error{"no such group '" + name + "'", "control socket", "create it with groupadd"});
  return std::optional<gid_t>(found->gr_gid);
}

Result<void> open_to_groups(const std::string& path, mode_t mode, const std::vector<gid_t>& groups) {
  if (::chmod(path.c_str(), mode) != 0)
    return failed("cannot set the mode of the control socket", path, "check the folder's permissions");
  std::vector<gid_t> listed = groups;
  bool given = false;
  if (!listed.empty() && ::chown(path.c_str(), static_cast<uid_t>(-1), listed.front()) == 0) {
    given = true;
    std::erase(listed, listed.front());
  }
  if (listed.empty() || set_access_list(path, mode, listed) || given) return {};
  return failed("cannot give the control socket to its group", path,
                "make the daemon's user a member of the group, or use a folder whose file system has ACLs");
}

}  // namespace splitnve::host
