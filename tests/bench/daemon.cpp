// SPDX-License-Identifier: Apache-2.0
#include "daemon.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <stdexcept>

namespace splitnve::bench {
namespace {

constexpr int kReadyMs = 60'000;
constexpr int kAnswerMs = 120'000;

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) give_up("socket path too long: " + path);
  std::copy(path.begin(), path.end(), address.sun_path);
  return address;
}

/// What a service manager would listen on.
class NotifySocket {
 public:
  explicit NotifySocket(const std::string& path) : path_(path), fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    unlink(path.c_str());
    const auto address = address_of(path);
    if (fd_ < 0 || bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
      give_up("no notify socket");
  }
  ~NotifySocket() {
    close(fd_);
    unlink(path_.c_str());
  }
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;

  void wait_ready(pid_t pid) const {
    std::array<char, 1024> text;
    for (int waited = 0; waited < kReadyMs; waited += 100) {
      pollfd waiting{fd_, POLLIN, 0};
      if (poll(&waiting, 1, 100) != 1) {
        if (waitpid(pid, nullptr, WNOHANG) == pid) give_up("a daemon ended at its start: see its log");
        continue;
      }
      const ssize_t count = recv(fd_, text.data(), text.size(), 0);
      if (count > 0 && std::string(text.data(), static_cast<std::size_t>(count)).find("READY=1") != std::string::npos)
        return;
    }
    give_up("a daemon was not ready within a minute");
  }

 private:
  std::string path_;
  int fd_;
};

[[noreturn]] void become(const std::string& program, const std::string& config, const std::string& netns,
                         const std::string& log, const std::string& notify) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int ns = open(("/run/netns/" + netns).c_str(), O_RDONLY | O_CLOEXEC);
  const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (ns < 0 || setns(ns, CLONE_NEWNET) != 0 || out < 0) _exit(126);
  dup2(out, 1);
  dup2(out, 2);
  setenv("NOTIFY_SOCKET", notify.c_str(), 1);
  execl(program.c_str(), program.c_str(), "--config", config.c_str(), nullptr);
  _exit(127);
}

}  // namespace

void give_up(const std::string& what) { throw std::runtime_error(what); }

Client::Client(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const auto address = address_of(path);
  if (fd_ < 0 || connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    give_up("cannot connect to " + path + ": " + std::strerror(errno));
}
Client::~Client() { close(fd_); }

Client::Reply Client::call(const std::string& request, const std::string& text) {
  for (std::size_t sent = 0; sent < request.size();) {
    const ssize_t count = send(fd_, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) give_up(std::string("send: ") + std::strerror(errno));
    sent += static_cast<std::size_t>(count);
  }
  Reply reply;
  std::array<char, 64 * 1024> chunk;
  while (true) {
    std::size_t begin = 0;
    for (std::size_t end; (end = buffer_.find('\n', begin)) != std::string::npos; begin = end + 1) {
      const std::string_view line(buffer_.data() + begin, end - begin);
      if (line.find("\"ok\":") != std::string_view::npos && line.find("\"row\":") == std::string_view::npos) {
        reply.end = line;
        buffer_.erase(0, end + 1);
        return reply;
      }
      if (reply.rows++ == 0) reply.first = line;
      if (!text.empty() && line.find(text) != std::string_view::npos) ++reply.matching;
    }
    buffer_.erase(0, begin);
    pollfd waiting{fd_, POLLIN, 0};
    if (poll(&waiting, 1, kAnswerMs) != 1) give_up("no answer on the control socket within two minutes");
    const ssize_t count = recv(fd_, chunk.data(), chunk.size(), 0);
    if (count <= 0) give_up("the daemon closed the control connection: see its log");
    buffer_.append(chunk.data(), static_cast<std::size_t>(count));
  }
}

Daemon::Daemon(std::string program, std::string config, std::string netns, std::string socket, std::string log)
    : program_(std::move(program)),
      config_(std::move(config)),
      netns_(std::move(netns)),
      socket_(std::move(socket)),
      log_(std::move(log)) {
  start();
}

Daemon::~Daemon() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void Daemon::start() {
  const std::string notify = socket_ + ".notify";
  const NotifySocket ready(notify);
  pid_ = fork();
  if (pid_ < 0) give_up("fork");
  if (pid_ == 0) become(program_, config_, netns_, log_, notify);
  ready.wait_ready(pid_);
}

void Daemon::stop(int signal) {
  kill(pid_, signal);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

Usage Daemon::usage() const {
  Usage usage;
  std::ifstream memory("/proc/" + std::to_string(pid_) + "/smaps_rollup");
  for (std::string line; std::getline(memory, line);) {
    if (line.rfind("Private_Clean:", 0) != 0 && line.rfind("Private_Dirty:", 0) != 0) continue;
    usage.private_octets += 1024 * std::stod(line.substr(line.find(':') + 1));
  }
  clockid_t clock{};
  timespec time{};
  if (clock_getcpuclockid(pid_, &clock) != 0 || clock_gettime(clock, &time) != 0)
    give_up("no processor time of a daemon");
  usage.cpu_seconds = static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
  return usage;
}

}  // namespace splitnve::bench
