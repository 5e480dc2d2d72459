// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/paths.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace splitnve::host {
namespace {

/// An instance name also stands in interface names and log tags; 32 is plenty for people and short for sun_path.
constexpr std::size_t kInstanceNameMax = 32;
constexpr unsigned kParentMode = 0755;

bool is_name_character(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; }

}  // namespace

Result<Paths> paths_of(std::string_view daemon, std::string_view instance) {
  if (instance.empty() || instance.size() > kInstanceNameMax ||
      !std::all_of(instance.begin(), instance.end(), is_name_character))
    return unexpected<Error>(Error{"bad instance name '" + std::string(instance) + "'", "instance",
                                   "use 1 to 32 of the characters a-z 0-9 - _"});
  const std::string name(instance);
  return Paths{"/run/splitnve/" + name + ".sock", "/var/lib/splitnve/" + std::string(daemon) + "/" + name + ".db",
               "/sys/fs/bpf/splitnve/" + name + "/"};
}

Result<void> make_parent_folder(const std::string& file, unsigned mode) {
  for (std::size_t slash = file.find('/', 1); slash != std::string::npos; slash = file.find('/', slash + 1)) {
    const std::string folder = file.substr(0, slash);
    const bool innermost = file.find('/', slash + 1) == std::string::npos;
    if (mkdir(folder.c_str(), innermost ? mode : kParentMode) == 0 || errno == EEXIST) continue;
    struct stat info{};
    const int cause = errno;
    if (stat(folder.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) continue;
    return unexpected<Error>(Error{std::string("cannot create the folder: ") + std::strerror(cause), folder,
                                   "create it by hand or configure another path"});
  }
  return {};
}

}  // namespace splitnve::host
