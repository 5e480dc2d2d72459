// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "splitnve/host/control.hpp"

namespace splitnve::host {

using nlohmann::json;

namespace {

constexpr std::size_t kReadOctets = 64 * 1024;

std::string text_in(const json& object, const char* key) {
  const auto value = object.find(key);
  return value != object.end() && value->is_string() ? value->get<std::string>() : "";
}

unexpected<Error> bad_answer() {
  return unexpected<Error>(Error{"the daemon's answer is not understood", "control socket", "compare the versions"});
}

std::string seconds_text(Duration time) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  return ms % 1000 == 0 ? std::to_string(ms / 1000) + " s" : std::to_string(ms) + " ms";
}

unexpected<Error> no_answer(Duration patience, const char* what) {
  return unexpected<Error>(Error{
      std::string(what) + " within " + seconds_text(patience), "control socket",
      "check whether it is stopped or busy (systemctl status, its log); the request continues there: check the state, "
      "or give a longer --timeout"});
}

void limit_waits(int fd, Duration patience) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(patience).count();
  const timeval limit{us / 1000000, us % 1000000};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

/// False: it did not leave; errno says why.
bool send_all(int fd, const std::string& text) {
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t count = send(fd, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    sent += static_cast<std::size_t>(count);
  }
  return true;
}

/// When the daemon has closed a connection, the line that says why may be there already.
constexpr Duration kLastWords = std::chrono::milliseconds(100);

}  // namespace

Result<std::unique_ptr<ControlClient>> ControlClient::connect(const std::string& path, Duration patience) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path))
    return unexpected<Error>(Error{"not a path for a control socket", path, "name the socket with -s"});
  std::copy(path.begin(), path.end(), address.sun_path);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return unexpected<Error>(Error{std::strerror(errno), path, ""});
  std::unique_ptr<ControlClient> client(new ControlClient(fd));
  limit_waits(fd, patience);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    const int cause = errno;
    if (cause == EAGAIN) return no_answer(patience, "the daemon takes no connection");
    const char* remedy = cause == EACCES ? "run as root or as a member of the socket's group"
                                         : "start the daemon, or name another socket with -s";
    return unexpected<Error>(Error{std::string("cannot reach the daemon: ") + std::strerror(cause), path, remedy});
  }
  return client;
}

ControlClient::~ControlClient() { ::close(fd_); }

Result<std::string_view> ControlClient::read_line(Duration silence_max) {
  std::size_t searched = taken_;
  while (true) {
    if (const std::size_t end = buffer_.find('\n', searched); end != std::string::npos) {
      const std::size_t begin = std::exchange(taken_, end + 1);
      return std::string_view(buffer_).substr(begin, end - begin);
    }
    buffer_.erase(0, std::exchange(taken_, 0));
    searched = buffer_.size();
    const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(silence_max).count();
    pollfd waiting{fd_, POLLIN, 0};
    const int ready = poll(&waiting, 1, wait == 0 ? -1 : static_cast<int>(wait));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) return no_answer(silence_max, "the daemon does not answer");
    std::array<char, kReadOctets> chunk;
    const ssize_t count = recv(fd_, chunk.data(), chunk.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0)
      return unexpected<Error>(Error{"the daemon closed the connection without an answer", "control socket",
                                     "if it still runs, ask again; its log says why it ended"});
    buffer_.append(chunk.data(), static_cast<std::size_t>(count));
  }
}

Result<json> ControlClient::call(const std::string& verb, const json& args, const OnRow& on_row, Duration silence_max) {
  const auto parse = [&](std::string_view text) {
    const json row = json::parse(text, nullptr, false);
    if (on_row && !row.is_discarded()) on_row(row);
    return !row.is_discarded();
  };
  return exchange(verb, args, parse, silence_max);
}

Result<json> ControlClient::call_for_text(const std::string& verb, const json& args, const OnRowText& on_row,
                                          Duration silence_max) {
  const auto hand_on = [&](std::string_view text) {
    on_row(text);
    return true;
  };
  return exchange(verb, args, hand_on, silence_max);
}

Result<json> ControlClient::exchange(const std::string& verb, const json& args,
                                     const std::function<bool(std::string_view)>& on_row, Duration silence_max) {
  const std::uint64_t id = next_id_++;
  const std::string before_row = "{\"id\":" + std::to_string(id) + ",\"row\":";
  const json request{{"id", id}, {"verb", verb}, {"args", args.is_null() ? json::object() : args}};
  const std::string text = request.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  if (!send_all(fd_, text)) {
    if (errno == EAGAIN) return no_answer(silence_max, "the daemon does not take the request");
    const auto why = read_line(kLastWords);  // a refusal of the connection
    return why ? take_answer(id, *why)
               : unexpected<Error>(Error{"the daemon closed the connection before it took the request",
                                         "control socket", "if it still runs, ask again; its log says why it ended"});
  }
  while (true) {
    const auto line = read_line(silence_max);
    if (!line) return unexpected<Error>(line.error());
    // A row's line is {"id":n,"row":ROW} and nothing else (docs/control-api.md): no need to parse it to find the row.
    if (!line->starts_with(before_row) || !line->ends_with('}')) return take_answer(id, *line);
    if (!on_row(line->substr(before_row.size(), line->size() - before_row.size() - 1))) return bad_answer();
  }
}

Result<json> ControlClient::take_answer(std::uint64_t id, std::string_view line) {
  json answer = json::parse(line, nullptr, false);
  if (!answer.is_object() || !answer.contains("id") || !answer.contains("ok")) return bad_answer();
  // A refusal of the connection or of the line itself names no request.
  if (answer["id"] != id && !answer["id"].is_null()) return bad_answer();
  if (answer.value("ok", false)) return answer.contains("result") ? answer["result"] : json::object();
  const json error = answer.value("error", json::object());
  if (!error.is_object()) return bad_answer();
  return unexpected<Error>(Error{text_in(error, "what"), text_in(error, "where"), text_in(error, "remedy")});
}

}  // namespace splitnve::host
