// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "control_request.hpp"
#include "splitnve/base/result.hpp"

namespace splitnve::host {

class Loop;

/// Lines from this length on are parsed aside: a millisecond of parsing is one in which no frame is served.
inline constexpr std::size_t kParsedAsideOctetsMin = 4096;

/// Reads request lines on a thread of its own, in the order in which they come. The thread starts with the first line.
/// It holds at most one line for each connection of the control socket.
class ControlParser {
 public:
  using Parsed = Result<ControlRequest, const char*>;
  using Done = std::function<void(const Parsed&)>;
  using Read = std::function<Parsed(std::string_view line)>;

  ControlParser(Loop& loop, Read read);
  /// Waits for the line that is being parsed; `done` of those behind it is never called.
  ~ControlParser();
  ControlParser(const ControlParser&) = delete;
  ControlParser& operator=(const ControlParser&) = delete;

  /// `done` is called on the loop's thread.
  void parse(std::string line, Done done);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace splitnve::host
