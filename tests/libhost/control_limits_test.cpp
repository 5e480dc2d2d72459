// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>
#include <sys/wait.h>

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

TEST_F(ControlLimits, ConnectionsBeyondTheLimitAreToldSoAndAFreedPlaceIsTaken) {
  std::vector<std::unique_ptr<RawClient>> clients;
  for (std::size_t i = 0; i < kControlConnectionsMax; ++i) {
    clients.push_back(std::make_unique<RawClient>(path_));
    ASSERT_TRUE(clients.back()->write("{\"id\":1,\"verb\":\"echo\"}\n"));
    ASSERT_EQ(clients.back()->line()["ok"], true);
  }
  const auto refused = client()->call("echo", {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().what, "too many connections");
  EXPECT_EQ(stats().refused, 1u);
  clients.pop_back();
  // The server notices the end of the old connection in its own time: ask until it has.
  bool served = false;
  for (int attempt = 0; attempt < 10000 && !served; ++attempt) served = client()->call("echo", {}).has_value();
  EXPECT_TRUE(served);
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
