// SPDX-License-Identifier: Apache-2.0
// The command line as a request: which verb, with which arguments, to which socket.
#pragma once
#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

namespace splitnve::vdpctl {

/// Exit codes: what scripts may rely on.
enum class Exit : int { kOk = 0, kRefused = 1, kUsage = 2 };

struct Request {
  bool json_output = false;
  std::string socket;  ///< a path, an instance name, or empty: the only daemon of this host
  std::string verb;    ///< as on the wire, such as `tsi.show`
  nlohmann::json args = nlohmann::json::object();
  std::chrono::milliseconds silence_max{30000};  ///< how long to wait for the daemon; its own deadlines are shorter
  std::string check_file;                        ///< `config check`: no socket, the daemon's own check
  std::string apply_file;                        ///< `tsi apply`: the TSIs to bring to their states
  bool has_rows() const { return verb.ends_with(".show") || verb == "audit"; }
};

/// The request, or the exit code when usage, help or version was printed.
std::variant<Request, Exit> parse(int argc, const char* const* argv);

/// The socket to talk to: `given` as a path or instance name, else the only `*.sock` in `folder`. Otherwise `complaint`
/// says what to do and `path` is empty.
struct SocketChoice {
  std::string path;
  std::string complaint;
};
SocketChoice choose_socket(const std::string& given, const std::string& folder);

}  // namespace splitnve::vdpctl
