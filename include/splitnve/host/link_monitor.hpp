// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "splitnve/base/ids.hpp"
#include "splitnve/base/result.hpp"

namespace splitnve::host {

/// A network interface as the kernel has it now.
struct LinkInfo {
  std::string name;
  unsigned index = 0;  ///< 0: there is no such interface
  MacAddress mac;
  unsigned mtu = 0;
  bool up = false;  ///< administratively up and able to carry frames
  friend bool operator==(const LinkInfo&, const LinkInfo&) = default;
};

/// Asks the kernel for an interface by its name or an alternative name. `nullopt`: there is certainly none. Error: the
/// kernel did not say (EMFILE, ENOMEM): that is no news of the interface, ask again.
Result<std::optional<LinkInfo>> find_link(const std::string& name);
/// The same for whoever needs it now. Error: it does not exist, with what to do.
Result<LinkInfo> link_of(const std::string& name);

/// Hears from rtnetlink that something about an interface has changed: its link, its tc filters or qdiscs, addresses.
/// What it is now, the kernel says when asked: events are hints, so that lost ones (`drain` returns false: look at
/// everything) need no second mechanism.
class LinkMonitor {
 public:
  struct Hint {
    enum class Kind : std::uint8_t { kLink, kLinkGone, kTraffic, kAddress };
    Kind kind = Kind::kLink;
    unsigned index = 0;
    std::vector<std::string> names;  ///< of a link: its name and alternative names
  };
  using Changed = std::function<void(const Hint&)>;
  static Result<std::unique_ptr<LinkMonitor>> open();
  ~LinkMonitor();
  LinkMonitor(const LinkMonitor&) = delete;
  LinkMonitor& operator=(const LinkMonitor&) = delete;
  int fd() const { return fd_; }
  bool drain(const Changed& changed);

 private:
  explicit LinkMonitor(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace splitnve::host
