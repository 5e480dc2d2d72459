// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/paths.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "temporary_folder.hpp"

namespace splitnve::host {
namespace {

TEST(Paths, FollowFromTheInstanceName) {
  const auto paths = paths_of("nnved", "sw-1");
  ASSERT_TRUE(paths);
  EXPECT_EQ(paths->control_socket, "/run/splitnve/sw-1.sock");
  EXPECT_EQ(paths->store, "/var/lib/splitnve/nnved/sw-1.db");
  EXPECT_EQ(paths->pins, "/sys/fs/bpf/splitnve/sw-1/");
}

TEST(Paths, ANameThatWouldLeaveItsFolderIsRefused) {
  for (const char* name : {"", "..", "a/b", "A", "a b", "012345678901234567890123456789012"})
    EXPECT_FALSE(paths_of("nnved", name)) << name;
}

TEST(Paths, ParentFoldersAreMadeAndAFileInTheWayIsNamed) {
  const testing::TemporaryFolder folder;
  ASSERT_TRUE(make_parent_folder(folder.file("a/b/c.db"), 0700));
  EXPECT_EQ(std::filesystem::status(folder.file("a/b")).permissions(), std::filesystem::perms::owner_all);
  EXPECT_NE(std::filesystem::status(folder.file("a")).permissions() & std::filesystem::perms::others_exec,
            std::filesystem::perms::none)
      << "another daemon's user passes";
  EXPECT_FALSE(std::filesystem::exists(folder.file("a/b/c.db")));
  std::ofstream(folder.file("file")) << "x";
  const auto refused = make_parent_folder(folder.file("file/x/y.db"), 0755);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().where, folder.file("file/x"));
}

}  // namespace
}  // namespace splitnve::host
