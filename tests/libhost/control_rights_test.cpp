// SPDX-License-Identifier: Apache-2.0
// Who may connect to a control socket and do what, tried by processes of other users.
#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "control_fixture.hpp"

namespace splitnve::host {
namespace {

gid_t group_of(const char* name) {
  const group* found = getgrnam(name);
  return found == nullptr ? 0 : found->gr_gid;
}

/// Which verbs a process of that user and group gets: 0 none (it cannot connect), 1 read, 2 all.
int rights_of(uid_t user, gid_t group, const std::string& path) {
  const pid_t child = fork();
  if (child == 0) {
    if (setgroups(0, nullptr) != 0 || setgid(group) != 0 || setuid(user) != 0) _exit(9);
    const auto connection = ControlClient::connect(path);
    if (!connection) _exit(0);
    if (!(*connection)->call("echo", {})) _exit(8);
    const auto changed = (*connection)->call("change", {});
    _exit(changed ? 2 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}

/// A server in a process of `user`; it ends with the object.
struct Server {
  Server(uid_t user, const ControlOptions& options) {
    std::array<int, 2> ready{};
    if (pipe(ready.data()) != 0) return;
    process = fork();
    if (process == 0) serve(user, options, ready[1]);
    close(ready[1]);
    char octet = 0;
    listens = read(ready[0], &octet, 1) == 1;
    close(ready[0]);
  }
  ~Server() {
    kill(process, SIGKILL);
    waitpid(process, nullptr, 0);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[noreturn]] static void serve(uid_t user, const ControlOptions& options, int ready) {
    if (setgroups(0, nullptr) != 0 || setgid(user) != 0 || setuid(user) != 0) _exit(9);
    Loop loop;
    auto server = ControlServer::open(loop, options);
    if (!server) _exit(8);
    (*server)->add("echo", Access::kRead, [](const nlohmann::json&, Responder respond) { respond.ok(); });
    (*server)->add("change", Access::kAdmin, [](const nlohmann::json&, Responder respond) { respond.ok(); });
    if (write(ready, "x", 1) != 1) _exit(7);
    loop.run();
    _exit(0);
  }
  pid_t process = -1;
  bool listens = false;
};

struct ControlRights : ::testing::Test {
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "other users are needed";
    ASSERT_EQ(chmod(folder.file("").c_str(), 0777), 0);
  }
  static constexpr uid_t kDaemon = 12345, kSomebody = 12346;
  const testing::TemporaryFolder folder;
  const std::string path = folder.file("control.sock");
  const gid_t look = group_of("games"), change = group_of("news");  // Debian has them
};

/// The groups of a socket need no capability: its owner writes them into its access control list.
TEST_F(ControlRights, ADaemonThatIsNoMemberOpensItsSocketToGroups) {
  const Server server(kDaemon, {path, 0660, "games", "news"});
  ASSERT_TRUE(server.listens);
  EXPECT_EQ(rights_of(kSomebody, look, path), 1);
  EXPECT_EQ(rights_of(kSomebody, change, path), 2);
  EXPECT_EQ(rights_of(kSomebody, kSomebody, path), 0);
  EXPECT_EQ(rights_of(kDaemon, kDaemon, path), 2);
  EXPECT_EQ(rights_of(0, 0, path), 2);
}

TEST_F(ControlRights, RootGivesTheSocketToOneGroupAndLetsTheOtherIn) {
  const Server server(0, {path, 0660, "games", "news"});
  ASSERT_TRUE(server.listens);
  struct stat about{};
  ASSERT_EQ(stat(path.c_str(), &about), 0);
  EXPECT_EQ(about.st_gid, look);
  EXPECT_EQ(rights_of(kSomebody, look, path), 1);
  EXPECT_EQ(rights_of(kSomebody, change, path), 2);
  EXPECT_EQ(rights_of(kSomebody, kSomebody, path), 0);
}

TEST_F(ControlRights, WithoutAnAdminGroupWhoMayLookChangesNothing) {
  const Server server(kDaemon, {path, 0660, "games", ""});
  ASSERT_TRUE(server.listens);
  EXPECT_EQ(rights_of(kSomebody, look, path), 1);
  EXPECT_EQ(rights_of(kSomebody, change, path), 0);
  EXPECT_EQ(rights_of(0, 0, path), 2);
}

}  // namespace
}  // namespace splitnve::host
