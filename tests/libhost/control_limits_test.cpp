// SPDX-License-Identifier: Apache-2.0
#include <grp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <functional>
#include <vector>

#include "control_fixture.hpp"

namespace splitnve::host {
namespace {

using nlohmann::json;
using testing::RawClient;
class ControlLimits : public testing::ControlFixture {};

TEST_F(ControlLimits, EveryMalformedLineIsAnsweredAndCountedAndTheConnectionLives) {
  RawClient raw(path_);
  const std::vector<std::string> lines = {"not json",
                                          "[1,2]",
                                          "{\"verb\":\"echo\"}",
                                          "{\"id\":\"1\",\"verb\":\"echo\"}",
                                          "{\"id\":1}",
                                          "{\"id\":1,\"verb\":7}",
                                          "{\"id\":1,\"verb\":\"echo\",\"args\":[]}",
                                          "{\"id\":1,\"verb\":\"ec\xff\"}"};
  for (const std::string& line : lines) {
    ASSERT_TRUE(raw.write(line + "\n"));
    const json answer = raw.line();
    EXPECT_EQ(answer["ok"], false) << line;
    EXPECT_TRUE(answer["id"].is_null()) << line;
    EXPECT_FALSE(answer["error"]["what"].get<std::string>().empty()) << line;
  }
  EXPECT_EQ(stats().malformed, lines.size());
  ASSERT_TRUE(raw.write("\n{\"id\":2,\"verb\":\"echo\"}\n"));
  EXPECT_EQ(raw.line(), (json{{"id", 2}, {"ok", true}, {"result", json::object()}}));
}

TEST_F(ControlLimits, DeepNestingIsOnlyMalformedInput) {
  RawClient raw(path_);
  ASSERT_TRUE(raw.write(std::string(60000, '[') + "\n"));
  EXPECT_EQ(raw.line()["ok"], false);
  EXPECT_EQ(stats().malformed, 1u);
}

TEST_F(ControlLimits, LongLinesAreAnsweredInTheirTurnLikeShortOnes) {
  RawClient raw(path_);
  const std::string pad(3 * kControlLineOctetsMax / 4, 'x');
  const auto request = [](int id, const std::string& text) {
    return json{{"id", id}, {"verb", "echo"}, {"args", {{"pad", text}}}}.dump() + "\n";
  };
  {
    RawClient leaves(path_);
    ASSERT_TRUE(leaves.write(request(1, pad)));  // nobody is there any more when it is parsed
  }
  ASSERT_TRUE(raw.write(request(1, pad) + request(2, "") + "[" + pad + "\n" + request(3, pad)));
  for (const int id : {1, 2}) EXPECT_EQ(raw.line()["id"], id);
  const json malformed = raw.line();
  EXPECT_TRUE(malformed["id"].is_null());
  EXPECT_EQ(malformed["error"]["what"], "the line is not JSON");
  const json last = raw.line();
  EXPECT_EQ(last["id"], 3);
  EXPECT_EQ(last["result"]["pad"], pad);
  EXPECT_EQ(stats().malformed, 1u);
}

TEST_F(ControlLimits, ALineOfTheLimitIsServedAndALongerOneEndsTheConnection) {
  RawClient raw(path_);
  std::string line = "{\"id\":1,\"verb\":\"echo\",\"args\":{\"pad\":\"\"}}";
  line.insert(line.size() - 3, kControlLineOctetsMax - line.size(), 'x');
  ASSERT_EQ(line.size(), kControlLineOctetsMax);
  ASSERT_TRUE(raw.write(line + "\n"));
  EXPECT_EQ(raw.line()["ok"], true);

  RawClient endless(path_);
  ASSERT_TRUE(endless.write(std::string(kControlLineOctetsMax + 1, 'x')));
  EXPECT_EQ(endless.line()["ok"], false);
  EXPECT_TRUE(endless.at_end());
  EXPECT_EQ(stats().oversize, 1u);
}

/// A child that is another user, in the default group of `nobody`: `body` returns its exit status.
int as_nobody(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    if (setgroups(0, nullptr) != 0 || setgid(65534) != 0 || setuid(65534) != 0) _exit(2);
    _exit(body());
  }
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// Descriptors for both ends of the connections that these tests hold.
void want_descriptors() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

TEST_F(ControlLimits, AThousandHooksOfRootAreServedAtOnce) {
  want_descriptors();
  std::vector<std::unique_ptr<RawClient>> hooks;
  for (std::size_t i = 0; i < 1000; ++i) {
    hooks.push_back(std::make_unique<RawClient>(path_));
    ASSERT_TRUE(hooks.back()->write("{\"id\":1,\"verb\":\"echo\"}\n"));
  }
  EXPECT_TRUE(client()->call("echo", {})) << "somebody looks meanwhile";
  for (const auto& hook : hooks) EXPECT_EQ(hook->line()["ok"], true);
  EXPECT_EQ(stats().refused, 0u);
}

TEST_F(ControlLimits, OneUserTakesNoMoreThanItsShareAndRootAlwaysGetsIn) {
  want_descriptors();
  ASSERT_EQ(chmod(path_.c_str(), 0666), 0);
  ASSERT_EQ(chmod(folder_.file("").c_str(), 0755), 0);
  int held[2], done[2];
  ASSERT_EQ(pipe(held), 0);
  ASSERT_EQ(pipe(done), 0);
  std::thread user([&] {
    EXPECT_EQ(as_nobody([&] {
                std::vector<std::unique_ptr<RawClient>> all;
                for (std::size_t i = 0; i < kControlConnectionsPerUserMax + kControlWaitingPerUserMax + 10; ++i)
                  all.push_back(std::make_unique<RawClient>(path_));
                const bool refused = all.back()->line()["error"]["what"] == "too many connections of this user";
                if (::write(held[1], "x", 1) != 1) return 3;
                char octet;
                if (::read(done[0], &octet, 1) != 1) return 4;
                // The first goes, one that has waited is served.
                RawClient& waited = *all[kControlConnectionsPerUserMax];
                all.erase(all.begin());
                if (!waited.write("{\"id\":1,\"verb\":\"echo\"}\n")) return 5;
                return waited.line()["ok"] == true && refused ? 0 : 6;
              }),
              0);
  });
  char octet;
  ASSERT_EQ(::read(held[0], &octet, 1), 1);
  EXPECT_TRUE(client()->call("echo", {}));
  const ControlStats now = stats();
  EXPECT_EQ(now.waited, kControlWaitingPerUserMax);
  EXPECT_EQ(now.refused, 10u);
  ASSERT_EQ(::write(done[1], "x", 1), 1);
  user.join();
  for (const int fd : {held[0], held[1], done[0], done[1]}) ::close(fd);
}

TEST_F(ControlLimits, ARefusalIsNeverToldAsABrokenPipe) {
  // A listener that closes each connection with a line that belongs to no request.
  const std::string path = folder_.file("other.sock");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(path.begin(), path.end(), address.sun_path);
  const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(listener, 4), 0);
  auto connected = ControlClient::connect(path);
  ASSERT_TRUE(connected);
  const int one = accept(listener, nullptr, nullptr);
  const std::string line = R"({"id":null,"ok":false,"error":{"what":"full","where":"","remedy":"wait"}})"
                           "\n";
  ASSERT_EQ(send(one, line.data(), line.size(), 0), static_cast<ssize_t>(line.size()));
  ::close(one);
  const auto refused = (*connected)->call("echo", {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().what, "full");
  auto ended = ControlClient::connect(path);
  ASSERT_TRUE(ended);
  ::close(accept(listener, nullptr, nullptr));
  const auto broken = (*ended)->call("echo", {});
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().what, "the daemon closed the connection before it took the request");
  ::close(listener);
}

TEST_F(ControlLimits, AClientDoesNotWaitForeverForAPlaceInTheQueue) {
  const std::string path = folder_.file("stopped.sock");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(path.begin(), path.end(), address.sun_path);
  const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(listener, 0), 0);  // as that of a daemon that is stopped
  std::vector<std::unique_ptr<ControlClient>> taken;
  std::string what;
  for (int i = 0; i < 10 && what.empty(); ++i) {
    auto one = ControlClient::connect(path, std::chrono::milliseconds(200));
    if (one)
      taken.push_back(std::move(*one));
    else
      what = one.error().what;
  }
  EXPECT_EQ(what, "the daemon takes no connection within 200 ms");
  const auto silent = taken.front()->call("echo", {}, {}, std::chrono::milliseconds(200));
  ASSERT_FALSE(silent);
  EXPECT_EQ(silent.error().what, "the daemon does not answer within 200 ms");
  EXPECT_NE(silent.error().remedy.find("--timeout"), std::string::npos);
  ::close(listener);
}

/// With times short enough to wait for.
class ControlPatience : public testing::ControlFixture {
 protected:
  void change(ControlOptions& options) override {
    options.idle_max = std::chrono::milliseconds(300);
    options.stall_max = std::chrono::milliseconds(300);
  }
};

TEST_F(ControlPatience, WhoAsksNothingOrTakesNothingIsLetGo) {
  RawClient idle(path_), stalled(path_);
  ASSERT_TRUE(stalled.write("{\"id\":1,\"verb\":\"rows\",\"args\":{\"count\":100000000}}\n"));
  EXPECT_TRUE(idle.at_end());
  for (int i = 0; i < 500 && stats().ended < 2; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(stats().ended, 2u) << "the one that does not read as well";
}

TEST_F(ControlPatience, WhoWaitsForAVerdictIsNotIdle) {
  auto waiting = client();
  std::thread asks([&] { EXPECT_TRUE(waiting->call("later", {})); });
  const std::uint64_t asker = asker_.get_future().get();
  RawClient idle(path_);
  EXPECT_TRUE(idle.at_end()) << "so much time has passed";
  on_loop([&] { return server_->answer({asker, true, ""}), true; });
  asks.join();
}

TEST_F(ControlLimits, AReaderMayLookButNotChange) {
  ASSERT_EQ(chmod(path_.c_str(), 0666), 0);
  ASSERT_EQ(chmod(folder_.file("").c_str(), 0755), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (setgid(65534) != 0 || setuid(65534) != 0) _exit(2);
    const auto connection = ControlClient::connect(path_);
    if (!connection) _exit(3);
    if (!(*connection)->call("echo", {})) _exit(4);
    const auto denied = (*connection)->call("later", {});
    _exit(!denied && denied.error().what == "the verb 'later' needs administrator rights" ? 0 : 5);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(stats().denied, 1u);
}

TEST(ControlAccess, RootTheOwnUserAndTheAdminGroupMayChangeThings) {
  EXPECT_EQ(access_of({0, {}}, 100, std::nullopt), Access::kAdmin);
  EXPECT_EQ(access_of({100, {}}, 100, std::nullopt), Access::kAdmin);
  EXPECT_EQ(access_of({200, {5, 6}}, 100, 6), Access::kAdmin);
  EXPECT_EQ(access_of({200, {5, 7}}, 100, 6), Access::kRead);
  EXPECT_EQ(access_of({200, {0}}, 100, std::nullopt), Access::kRead);
  EXPECT_EQ(access_of({static_cast<uid_t>(-1), {}}, 100, 6), Access::kRead) << "credentials could not be read";
}

}  // namespace
}  // namespace splitnve::host
