// SPDX-License-Identifier: Apache-2.0
#include "daemon/keys.hpp"

#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "libhost/temporary_folder.hpp"

namespace splitnve::daemon {
namespace {

using ::testing::HasSubstr;

struct Keys : ::testing::Test {
  std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) {
    const std::string path = folder.file(name);
    std::ofstream(path) << text;
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return path;
  }
  std::string refusal(const std::string& path) {
    const auto key = load_key(auth::KeyId(1), path);
    return key ? "" : key.error().to_string();
  }
  /// What a port that says `json` is refused for; `policy` is what it comes to.
  std::string complaint(const std::string& json) {
    auto document = host::ConfigDocument::parse(json, "test.jsonc");
    EXPECT_TRUE(document);
    policy = read_authentication(document->root());
    const auto complaints = document->finish();
    return complaints.empty() ? "" : complaints.front().to_string();
  }
  host::testing::TemporaryFolder folder;
  const std::string hex = std::string(62, '0') + "aF";
  agent::AuthenticationPolicy policy;
};

TEST_F(Keys, AFileOf64DigitsIsAKeyWithOrWithoutLineEnd) {
  for (const std::string& text : {hex, hex + "\n"}) {
    const auto key = load_key(auth::KeyId(7), write("good", text));
    ASSERT_TRUE(key) << key.error().to_string();
    EXPECT_EQ(key->id, auth::KeyId(7));
    EXPECT_EQ(key->secret[31], 0xAF);
    EXPECT_EQ(key->secret[0], 0);
  }
}

TEST_F(Keys, AFileThatOthersMayUseIsRefusedWithWhatToDo) {
  for (const mode_t mode : {0640, 0604, 0660, 0610, 0644})
    EXPECT_THAT(refusal(write("open", hex, mode)), HasSubstr("chmod 0600 " + folder.file("open"))) << mode;
  EXPECT_EQ(refusal(write("closed", hex, 0400)), "");
}

/// As the daemon's own user, in a process of its own that is also a member of `further`: 0 if the key is read, 1 if
/// not.
int read_as(uid_t user, gid_t group, const std::string& path, gid_t further) {
  const pid_t child = fork();
  if (child == 0) {
    if (setgroups(1, &further) != 0 || setgid(group) != 0 || setuid(user) != 0) _exit(2);
    _exit(load_key(auth::KeyId(1), path) ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}

TEST_F(Keys, ADaemonReadsWhatRootLendsToItsGroupAlone) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  constexpr uid_t kUser = 12345, kOther = 12346;
  ASSERT_EQ(::chmod(folder.file("").c_str(), 0755), 0);
  const std::string path = write("lent", hex, 0640);
  ASSERT_EQ(::chown(path.c_str(), 0, kUser), 0);
  EXPECT_EQ(read_as(kUser, kUser, path, kUser), 0);
  EXPECT_EQ(read_as(kUser, kOther, path, kUser), 1) << "a group that others may be in";
  EXPECT_THAT(refusal(path), HasSubstr("others than its owner")) << "root's own group is no daemon's";
  ASSERT_EQ(::chmod(path.c_str(), 0660), 0);
  EXPECT_EQ(read_as(kUser, kUser, path, kUser), 1) << "the group may write it";
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  ASSERT_EQ(::chown(path.c_str(), kOther, kUser), 0);
  EXPECT_EQ(read_as(kUser, kUser, path, kUser), 1) << "another user's";
}

TEST_F(Keys, AFileOfAnotherUserIsRefused) {
  const std::string path = write("foreign", hex);
  if (::chown(path.c_str(), 12345, 12345) != 0) GTEST_SKIP() << "only root can give files away";
  EXPECT_THAT(refusal(path), HasSubstr("chown root " + path));
}

TEST_F(Keys, WhatIsNoKeyIsRefusedWithHowToMakeOne) {
  const std::string short_one = hex.substr(1), long_one = hex + "0", line_after = hex + "\n\n",
                    no_digit = "g" + hex.substr(1);
  for (const std::string& text : {std::string(), short_one, long_one, line_after, no_digit})
    EXPECT_THAT(refusal(write("bad", text)), HasSubstr("openssl rand -hex 32")) << text;
  EXPECT_THAT(refusal(folder.file("missing")), HasSubstr("umask 077"));
  EXPECT_THAT(refusal(folder.file("")), HasSubstr("regular file"));
}

TEST_F(Keys, TheFirstKeyOfAPortSignsAndAllAreKnown) {
  const std::string a = write("a", hex), b = write("b", std::string(64, '1'));
  EXPECT_EQ(complaint(R"({"authentication": "require", "keys": [{"id": 2, "file": ")" + b +
                      R"("}, {"id": 1, "file": ")" + a + R"("}]})"),
            "");
  EXPECT_EQ(policy.mode, auth::Mode::kRequire);
  EXPECT_EQ(policy.keys->preferred()->id, auth::KeyId(2));
  EXPECT_NE(policy.keys->find(auth::KeyId(1)), nullptr);
  EXPECT_EQ(policy.keys->find(auth::KeyId(3)), nullptr);
}

TEST_F(Keys, APortIsRefusedWithoutKeysWithTwoOfOneIdAndWithAnUnknownMode) {
  EXPECT_EQ(complaint("{}"), "");
  EXPECT_EQ(policy.mode, auth::Mode::kOff);
  EXPECT_THAT(complaint(R"({"authentication": "require"})"), HasSubstr("at least one key"));
  const std::string entry = R"({"id": 1, "file": ")" + write("a", hex) + R"("})";
  EXPECT_THAT(complaint(R"({"authentication": "accept", "keys": [)" + entry + ", " + entry + "]}"),
              HasSubstr("an id that no other key here has"));
  EXPECT_THAT(complaint(R"({"authentication": "always"})"), HasSubstr("\"require\""));
  EXPECT_THAT(complaint(R"({"keys": [{"id": 1, "file": "/nowhere/key"}]})"), HasSubstr("/nowhere/key"));
}

}  // namespace
}  // namespace splitnve::daemon
