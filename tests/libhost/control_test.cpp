// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include <cstring>
#include <fstream>
#include <vector>

#include "control_fixture.hpp"

namespace splitnve::host {
namespace {

using nlohmann::json;
using testing::RawClient;
class ControlTest : public testing::ControlFixture {};

TEST_F(ControlTest, AVerbGetsItsArgumentsAndTheClientTheResult) {
  const auto result = client()->call("echo", {{"name", "blue\n"}, {"n", 7}});
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_EQ(*result, (json{{"name", "blue\n"}, {"n", 7}}));
}

TEST_F(ControlTest, AVerbWithAReaderGetsWhatItReadFromShortRequestsAndLongOnes) {
  auto connected = client();
  for (const std::size_t count : {std::size_t{3}, std::size_t{9000}}) {
    const auto result = connected->call("sum", {{"numbers", std::vector<int>(count, 2)}});
    ASSERT_TRUE(result) << result.error().to_string();
    EXPECT_EQ(result->at("sum"), 2 * count);
    EXPECT_EQ(result->at("aside"), count > 1000) << "long ones are read beside the loop";
  }
}

TEST_F(ControlTest, OneConnectionServesManyRequestsInOrder) {
  auto connection = client();
  for (int i = 0; i < 100; ++i) {
    const auto result = connection->call("echo", {{"i", i}});
    ASSERT_TRUE(result) << result.error().to_string();
    EXPECT_EQ((*result)["i"], i);
  }
}

TEST_F(ControlTest, PipelinedRequestsAreAnsweredInOrderEvenAfterTheInputEnded) {
  RawClient raw(path_);
  std::string text;
  for (int i = 0; i < 1000; ++i)
    text += json{{"id", i}, {"verb", "echo"}, {"args", {{"pad", std::string(100, 'x')}}}}.dump() + "\n";
  text += json{{"id", 1000}, {"verb", "rows"}, {"args", {{"count", 2}}}}.dump() + "\n";
  ASSERT_TRUE(raw.write(text));
  raw.end_input();
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(raw.line()["id"], i);
  EXPECT_EQ(raw.line()["row"]["index"], 0);
  EXPECT_EQ(raw.line()["row"]["index"], 1);
  EXPECT_EQ(raw.line()["ok"], true);
  EXPECT_TRUE(raw.at_end());
}

TEST_F(ControlTest, AHundredThousandRowsArriveWhileAnotherClientIsAnswered) {
  auto reader = client();
  auto other = client();
  std::uint64_t rows = 0;
  int answered = 0;
  const auto result = reader->call("rows", {{"count", 100000}}, [&](const json& row) {
    ASSERT_EQ(row["index"], rows);
    if (++rows % 1000 != 0) return;
    ASSERT_TRUE(other->call("echo", {}));
    ++answered;
  });
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_EQ(rows, 100000u);
  EXPECT_EQ(answered, 100);
}

TEST_F(ControlTest, RowsAreHandedOnAsTheTextThatTheDaemonHasWritten) {
  on_loop([this] {
    server_->add("spaced", Access::kRead, [](const json&, Responder responder) {
      responder.stream(
          [n = 0](std::string& out) mutable {
            if (n % 2 == 0) JsonText(out).open('{').member("n", std::to_string(n)).close('}');  // else an empty place
            return ++n <= 5;
          },
          {{"shown", 3}});
    });
    return 0;
  });
  auto connection = client();
  std::vector<std::string> lines;
  const auto result = connection->call_for_text("spaced", {}, [&](std::string_view row) { lines.emplace_back(row); });
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_EQ(lines, (std::vector<std::string>{R"({"n":"0"})", R"({"n":"2"})", R"({"n":"4"})"}));
  EXPECT_EQ(*result, (json{{"shown", 3}}));
  EXPECT_TRUE(connection->call("echo", {})) << "the connection goes on";
}

TEST_F(ControlTest, AClientRefusesAnAnswerOfAnotherForm) {
  const std::string path = folder_.file("run/odd.sock");
  for (const char* answer :
       {"{\"row\":{},\"id\":1}\n", "{\"id\":2,\"row\":{}}\n", "{\"id\":1,\"row\":oops}\n", "[]\n"}) {
    const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(path.begin(), path.end(), address.sun_path);
    ASSERT_EQ(bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    ASSERT_EQ(listen(listener, 1), 0);
    auto connection = ControlClient::connect(path);
    ASSERT_TRUE(connection);
    const int peer = accept(listener, nullptr, nullptr);
    EXPECT_GT(send(peer, answer, std::strlen(answer), 0), 0);
    const auto result = (*connection)->call("tsi.show", {});
    ASSERT_FALSE(result) << answer;
    EXPECT_EQ(result.error().what, "the daemon's answer is not understood") << answer;
    for (const int fd : {peer, listener}) close(fd);
    unlink(path.c_str());
  }
}

TEST_F(ControlTest, AnEndlessTableWithoutRowsDelaysNobody) {
  on_loop([this] {
    server_->add("empty", Access::kRead,
                 [](const json&, Responder responder) { responder.stream([](std::string&) { return true; }); });
    return 0;
  });
  RawClient waits(path_);
  ASSERT_TRUE(waits.write("{\"id\":1,\"verb\":\"empty\"}\n"));
  auto other = client();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(other->call("echo", {}));
}

TEST_F(ControlTest, AReaderThatStopsReadingStopsTheMakingOfRows) {
  RawClient slow(path_);
  ASSERT_TRUE(slow.write("{\"id\":1,\"verb\":\"rows\",\"args\":{\"count\":10000000}}\n"));
  ASSERT_EQ(slow.line()["row"]["index"], 0);
  // The making stops by itself: two looks with a served request between them see the same count.
  auto other = client();
  std::uint64_t before = 0;
  std::uint64_t now = on_loop([this] { return rows_made_; });
  for (int quiet = 0; quiet < 20; quiet = now == before ? quiet + 1 : 0) {
    before = now;
    ASSERT_TRUE(other->call("echo", {}));
    now = on_loop([this] { return rows_made_; });
    ASSERT_LT(now, 100000u) << "rows pile up somewhere";
  }
  EXPECT_GT(now, 100u);
}

TEST_F(ControlTest, AnAnswerMayComeLaterThroughTheAskerHandle) {
  std::thread verdict([this] {
    const std::uint64_t asker = asker_.get_future().get();
    loop_.post([this, asker] {
      server_->answer({asker + 1000, true, ""});  // nobody; ignored
      server_->answer({asker, false, "refused by the switch, code 4"});
      server_->answer({asker, true, ""});  // the second verdict finds nobody
    });
  });
  const auto result = client()->call("later", {});
  verdict.join();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().what, "refused by the switch, code 4");
}

TEST_F(ControlTest, AnAnswerForAClientThatLeftIsDropped) {
  {
    RawClient gone(path_);
    ASSERT_TRUE(gone.write("{\"id\":1,\"verb\":\"later\"}\n"));
    const std::uint64_t asker = asker_.get_future().get();
    loop_.post([this, asker] { server_->answer({asker, true, std::string(1000, 'x')}); });
  }
  EXPECT_TRUE(client()->call("echo", {})) << "the server lives on";
}

TEST_F(ControlTest, AnUnknownVerbAndABadArgumentAreRefusedWithTheirCause) {
  auto connection = client();
  const auto unknown = connection->call("tsi.fly", {});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().what, "unknown verb 'tsi.fly'");
  const auto bad = connection->call("rows", {{"count", "many"}});
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().where, "args");
  EXPECT_NE(bad.error().what.find("bad argument"), std::string::npos);
}

TEST_F(ControlTest, TextThatIsNoUtf8DoesNotBreakTheAnswer) {
  on_loop([this] {
    server_->add("raw", Access::kRead,
                 [](const json&, Responder responder) { responder.ok({{"name", "a\xff\x1b[m"}}); });
    return 0;
  });
  const auto result = client()->call("raw", {});
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_EQ((*result)["name"], "a\xEF\xBF\xBD\x1b[m");
}

TEST_F(ControlTest, TheSocketHasItsModeAndGoesWithTheServer) {
  struct stat info{};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_TRUE(S_ISSOCK(info.st_mode));
  EXPECT_EQ(info.st_mode & 0777, 0660u);
  loop_.stop();
  thread_.join();
  server_.reset();
  EXPECT_NE(stat(path_.c_str(), &info), 0);
}

TEST_F(ControlTest, ASecondServerOnTheSamePathIsRefused) {
  Loop loop;
  ControlOptions options;
  options.path = path_;
  const auto second = ControlServer::open(loop, options);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().what, "another daemon listens on the control socket");
  EXPECT_TRUE(client()->call("echo", {})) << "the first one is not disturbed";
}

TEST(ControlSocket, AStaleSocketIsReplacedAndAnotherFileIsNot) {
  const testing::TemporaryFolder folder;
  ControlOptions options;
  options.path = folder.file("n1.sock");
  {
    const int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(options.path.begin(), options.path.end(), address.sun_path);
    ASSERT_EQ(bind(dead, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    close(dead);  // like a daemon that was killed: the file stays
  }
  Loop loop;
  EXPECT_TRUE(ControlServer::open(loop, options));
  options.path = folder.file("precious");
  std::ofstream(options.path) << "data";
  const auto refused = ControlServer::open(loop, options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().what, "there is a file that is no socket");
}

TEST(ControlSocket, NobodyListeningIsAClearError) {
  const testing::TemporaryFolder folder;
  const auto client = ControlClient::connect(folder.file("none.sock"));
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().where, folder.file("none.sock"));
  EXPECT_NE(client.error().remedy.find("start the daemon"), std::string::npos);
}

TEST(ControlSocket, AnUnknownGroupIsRefused) {
  const testing::TemporaryFolder folder;
  Loop loop;
  ControlOptions options;
  options.path = folder.file("n1.sock");
  options.group = "no-such-group-here";
  const auto server = ControlServer::open(loop, options);
  ASSERT_FALSE(server);
  EXPECT_NE(server.error().what.find("no-such-group-here"), std::string::npos);
}

}  // namespace
}  // namespace splitnve::host
