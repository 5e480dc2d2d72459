// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <string>

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

/// Asks the kernel for an interface. Error: it does not exist, with what to do.
Result<LinkInfo> link_of(const std::string& name);

/// Hears from rtnetlink that something about an interface has changed. What it is now, `link_of` says: events are
/// hints, so that lost ones (`drain` returns false: look at every interface) need no second mechanism.
class LinkMonitor {
 public:
  using Changed = std::function<void(const std::string& name, unsigned index)>;
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
