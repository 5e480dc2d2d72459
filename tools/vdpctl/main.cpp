// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "apply.hpp"
#include "request.hpp"
#include "splitnve/host/control.hpp"
#include "splitnve/host/log.hpp"
#include "table.hpp"

namespace splitnve::vdpctl {
namespace {

using nlohmann::json;

constexpr const char* kSocketFolder = "/run/splitnve";
constexpr std::size_t kOutputOctets = 64 * 1024;

Exit complain(const std::string& text) {
  std::fprintf(stderr, "vdpctl: %s\n", host::printable(text).c_str());
  return Exit::kRefused;
}

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

/// Rows leave as they come: a table of 200,000 TSIs as JSON takes neither memory nor parsing here.
class JsonArray {
 public:
  JsonArray() { std::setvbuf(stdout, nullptr, _IOFBF, kOutputOctets); }
  void add(std::string_view row) {
    std::fputs(std::exchange(separator_, ",\n "), stdout);
    std::fwrite(row.data(), 1, row.size(), stdout);
  }
  void end() { std::puts(*separator_ == '[' ? "[]" : "]"); }

 private:
  const char* separator_ = "[";
};

Result<json> show_json(host::ControlClient& client, const Request& request) {
  JsonArray array;
  auto result = client.call_for_text(
      request.verb, request.args, [&](std::string_view row) { array.add(row); }, request.silence_max);
  array.end();
  return result;
}

Result<json> show_table(host::ControlClient& client, const Request& request) {
  std::vector<json> rows;
  auto result =
      client.call(request.verb, request.args, [&](const json& row) { rows.push_back(row); }, request.silence_max);
  if (result) std::fputs(table(request.verb, rows).c_str(), stdout);
  return result;
}

Exit show(host::ControlClient& client, const Request& request) {
  const auto result = request.json_output ? show_json(client, request) : show_table(client, request);
  if (!result) return complain(result.error().to_string());
  if (request.verb != "audit") return Exit::kOk;
  const std::size_t differences = result->value("differences", 0u), fixed = result->value("fixed", 0u);
  if (!request.json_output) std::printf("differences %zu, fixed %zu\n", differences, fixed);
  return differences == fixed ? Exit::kOk : Exit::kRefused;
}

Exit change(host::ControlClient& client, const Request& request) {
  const auto result = client.call(request.verb, request.args, {}, request.silence_max);
  if (!result) return complain(result.error().to_string());
  if (request.json_output) {
    std::printf("%s\n", dump(*result).c_str());
  } else if (result->value("drained", true)) {
    std::puts("ok");
  }
  if (result->value("drained", true)) return Exit::kOk;
  return complain(
      "not drained yet: the other side has not confirmed the end of every TSI (vdpctl tsi show); draining "
      "goes on, ask again, or end it: vdpctl undrain");
}

/// The value of the top-level key "role". A file that is no JSON is the daemon's to complain of, with the place: then
/// the text alone decides whose it is.
std::string role_of(const std::string& text) {
  const json document = json::parse(text, nullptr, false, true);
  if (document.is_object() && document.contains("role") && document["role"].is_string()) return document["role"];
  if (!document.is_discarded()) return "";
  const bool is_tnved = text.find("\"tnved\"") != std::string::npos;
  const bool is_nnved = text.find("\"nnved\"") != std::string::npos;
  return is_tnved == is_nnved ? "" : is_tnved ? "tnved" : "nnved";
}

/// Becomes `nnved --check FILE` or `tnved --check FILE`; returns only if there is no such program. An installed vdpctl
/// finds the daemon in the neighbouring sbin, a built one in the build tree, both before the PATH.
Exit check_config(const std::string& file) {
  std::error_code unknown;
  if (std::filesystem::is_directory(file, unknown)) return complain(file + ": is a directory (name a file)");
  std::ifstream stream(file);
  if (!stream) return complain(file + ": " + std::strerror(errno));
  const std::string text((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  const std::string role = role_of(text);
  if (role != "nnved" && role != "tnved") return complain(file + R"(: the key "role" must say "nnved" or "tnved")");
  std::error_code ignored;
  const auto here = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  for (const auto& folder : {here, here / "../sbin", here / "../../src" / role}) {
    const std::string program = folder / role;
    execl(program.c_str(), role.c_str(), "--check", file.c_str(), nullptr);
  }
  execlp(role.c_str(), role.c_str(), "--check", file.c_str(), nullptr);
  return complain("cannot run " + role + ": " + std::strerror(errno) + " (install it, or add its folder to PATH)");
}

/// Exit: kOk if the daemon accepted every TSI of the file.
Exit apply(const std::string& socket, const Request& request) {
  std::ifstream stream(request.apply_file);
  if (!stream) return complain(request.apply_file + ": " + std::strerror(errno));
  const json tsis = json::parse(stream, nullptr, false, true);
  if (!tsis.is_array()) return complain(request.apply_file + ": not a JSON array of TSIs");
  const auto verdict = apply_all(socket, chunks_of(tsis), request.silence_max);
  if (!verdict) return complain(verdict.error().to_string());
  if (request.json_output) {
    std::printf("%s\n", dump({{"accepted", verdict->accepted}, {"refused", verdict->refused}}).c_str());
  } else {
    std::printf("accepted %zu, refused %zu\n", verdict->accepted, verdict->refused.size());
    for (const json& refusal : verdict->refused)
      complain(cell(refusal.value("vsi", json())) + ": " + cell(refusal.value("reason", json())));
  }
  return verdict->refused.empty() ? Exit::kOk : Exit::kRefused;
}

Exit run(const Request& request) {
  if (!request.check_file.empty()) return check_config(request.check_file);
  const SocketChoice socket = choose_socket(request.socket, kSocketFolder);
  if (!socket.complaint.empty()) {
    complain(socket.complaint);
    return Exit::kUsage;
  }
  if (!request.apply_file.empty()) return apply(socket.path, request);
  const auto client = host::ControlClient::connect(socket.path, request.silence_max);
  if (!client) return complain(client.error().to_string());
  return request.has_rows() ? show(**client, request) : change(**client, request);
}

}  // namespace
}  // namespace splitnve::vdpctl

int main(int argc, char** argv) {
  using namespace splitnve::vdpctl;
  const auto parsed = parse(argc, argv);
  const auto* request = std::get_if<Request>(&parsed);
  return static_cast<int>(request != nullptr ? run(*request) : std::get<Exit>(parsed));
}
