// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "splitnve/host/control.hpp"
#include "splitnve/host/json_text.hpp"
#include "splitnve/host/loop.hpp"
#include "temporary_folder.hpp"

namespace splitnve::host::testing {

/// A server whose loop runs on a thread of its own, as the daemon would be seen from outside.
class ControlFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    ControlOptions options;
    options.path = path_;
    change(options);
    auto server = ControlServer::open(loop_, options);
    ASSERT_TRUE(server) << server.error().to_string();
    server_ = std::move(*server);
    add_verbs();
    thread_ = std::thread([this] { loop_.run(); });
  }
  void TearDown() override {
    loop_.stop();
    if (thread_.joinable()) thread_.join();
    server_.reset();
  }
  virtual void change(ControlOptions&) {}
  virtual void add_verbs() {
    server_->add("echo", Access::kRead, [](const nlohmann::json& args, Responder responder) { responder.ok(args); });
    server_->add("rows", Access::kRead, [this](const nlohmann::json& args, Responder responder) {
      responder.stream(
          [this, i = std::uint64_t{0}, count = args.at("count").get<std::uint64_t>()](std::string& out) mutable {
            if (i == count) return false;
            JsonText(out).open('{').member("index", i++).member("name", "tsi").close('}');
            ++rows_made_;
            return true;
          });
    });
    struct Sum {
      std::int64_t sum = 0;
      std::thread::id thread;
    };
    server_->add_read<Sum>(
        "sum", Access::kRead,
        [](const nlohmann::json& args) {
          Sum read{0, std::this_thread::get_id()};
          for (const auto& number : args.at("numbers")) read.sum += number.get<std::int64_t>();
          return read;
        },
        [](const Sum& read, Responder responder) {
          responder.ok({{"sum", read.sum}, {"aside", read.thread != std::this_thread::get_id()}});
        });
    server_->add("later", Access::kAdmin,
                 [this](const nlohmann::json&, Responder responder) { asker_.set_value(responder.asker()); });
  }
  /// Runs on the loop's thread and waits for it.
  template <class F>
  auto on_loop(F&& task) {
    std::promise<decltype(task())> done;
    loop_.post([&] { done.set_value(task()); });
    return done.get_future().get();
  }
  ControlStats stats() {
    return on_loop([this] { return server_->stats(); });
  }
  std::unique_ptr<ControlClient> client() {
    auto connected = ControlClient::connect(path_);
    EXPECT_TRUE(connected) << connected.error().to_string();
    return connected ? std::move(*connected) : nullptr;
  }

  TemporaryFolder folder_;
  std::string path_ = folder_.file("run/n1.sock");
  Loop loop_;
  std::unique_ptr<ControlServer> server_;
  std::thread thread_;
  std::promise<std::uint64_t> asker_;
  std::uint64_t rows_made_ = 0;
};

/// Octets in and out, for what ControlClient would never send.
class RawClient {
 public:
  explicit RawClient(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(path.begin(), path.end(), address.sun_path);
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~RawClient() { close(fd_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  bool connected() const { return connected_; }
  bool write(std::string_view text) {
    while (!text.empty()) {
      const ssize_t count = send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }
  void end_input() { shutdown(fd_, SHUT_WR); }
  /// The next line as JSON; discarded at the end of the stream.
  nlohmann::json line() {
    while (true) {
      if (const auto end = buffer_.find('\n'); end != std::string::npos) {
        const std::string text = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return nlohmann::json::parse(text, nullptr, false);
      }
      char chunk[4096];
      const ssize_t count = recv(fd_, chunk, sizeof(chunk), 0);
      if (count <= 0) return nlohmann::json(nlohmann::json::value_t::discarded);
      buffer_.append(chunk, static_cast<std::size_t>(count));
    }
  }
  bool at_end() { return line().is_discarded(); }

 private:
  int fd_;
  bool connected_ = false;
  std::string buffer_;
};

}  // namespace splitnve::host::testing
