// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/config.hpp"

#include <gtest/gtest.h>

#include "temporary_folder.hpp"

namespace splitnve::host {
namespace {

using std::chrono::milliseconds;

/// Reads a document like a daemon does and returns the complaints, one per line.
std::string complaints_of(std::string_view text) {
  auto document = ConfigDocument::parse(text, "a.jsonc");
  if (!document) return document.error().to_string();
  const ConfigNode root = document->root();
  root.text("instance");
  root.u32("mtu", 576, 9216, 1500);
  root.boolean("debug", false);
  root.milliseconds("dead_peer_ms", milliseconds(10), milliseconds(60000), milliseconds(30000));
  root.mac("mac", MacAddress());
  root.choice("mode", {"eager", "lazy"}, 0);
  for (const ConfigNode& port : root.array("ports")) {
    port.text("interface");
    for (const ConfigNode& vid : port.array("vids")) vid.as_u32(2, 4094);
  }
  for (const auto& [name, vn] : root.members("vns")) vn.u32("id", 1, 0xFFFFFF);
  root.object("log").text("level", "info");
  std::string all;
  for (const Error& error : document->finish()) all += error.to_string() + "\n";
  return all;
}

TEST(Config, ReadsEveryTypeOfAGoodDocument) {
  auto document = ConfigDocument::parse(R"(// comment
    { "instance": "n1", /* and another
       over two lines */ "mtu": 9000, "debug": true, "dead_peer_ms": 250, "mac": "02:AA:00:00:00:01",
      "mode": "lazy", "ports": ["a", "b"], "vns": {"blue": {"id": 7}} })",
                                        "a.jsonc");
  ASSERT_TRUE(document) << document.error().to_string();
  const ConfigNode root = document->root();
  EXPECT_EQ(root.text("instance"), "n1");
  EXPECT_EQ(root.u32("mtu", 576, 9216), 9000u);
  EXPECT_TRUE(root.boolean("debug"));
  EXPECT_EQ(root.milliseconds("dead_peer_ms", milliseconds(1), milliseconds(1000)), milliseconds(250));
  EXPECT_EQ(root.mac("mac"), MacAddress(0x02AA00000001u));
  EXPECT_EQ(root.choice("mode", {"eager", "lazy"}), 1u);
  const auto ports = root.array("ports");
  ASSERT_EQ(ports.size(), 2u);
  EXPECT_EQ(ports[1].as_text(), "b");
  const auto vns = root.members("vns");
  ASSERT_EQ(vns.size(), 1u);
  EXPECT_EQ(vns[0].first, "blue");
  EXPECT_EQ(vns[0].second.u32("id", 1, 10), 7u);
  EXPECT_TRUE(document->finish().empty());
}

TEST(Config, AbsentKeysReadAsTheirFallbacks) {
  auto document = ConfigDocument::parse(R"({"instance": "n1"})", "a.jsonc");
  ASSERT_TRUE(document);
  EXPECT_EQ(document->root().u32("mtu", 576, 9216, 1500), 1500u);
  EXPECT_EQ(document->root().object("log").text("level", "info"), "info");
  EXPECT_FALSE(document->root().has("mtu"));
  EXPECT_TRUE(document->root().has("instance"));
  EXPECT_TRUE(document->finish().empty());
}

TEST(Config, AWrongTypeNamesFileLineKeyAndExpectation) {
  EXPECT_EQ(complaints_of("{\n \"instance\": 5\n}"), "a.jsonc:2: /instance: expected a string, found 5\n");
  EXPECT_EQ(complaints_of("{\"instance\":\"n\",\n\n \"debug\": \"yes\"}"),
            "a.jsonc:3: /debug: expected true or false, found \"yes\"\n");
  EXPECT_EQ(complaints_of("{\"instance\":\"n\",\n\"mac\": \"02:aa\"}"),
            "a.jsonc:2: /mac: expected a MAC address like \"02:aa:00:00:00:01\", found \"02:aa\"\n");
  EXPECT_EQ(complaints_of("{\"instance\":\"n\",\n\"ports\": 3}"), "a.jsonc:2: /ports: expected an array, found 3\n");
  EXPECT_EQ(complaints_of("{\"instance\":\"n\",\n\"log\": []}"), "a.jsonc:2: /log: expected an object, found []\n");
  EXPECT_EQ(complaints_of("{\"instance\":\"n\",\n\"mode\": \"x\"}"),
            "a.jsonc:2: /mode: expected one of \"eager\", \"lazy\", found \"x\"\n");
}

TEST(Config, AValueOutOfRangeNamesTheRange) {
  EXPECT_EQ(complaints_of("{\"instance\":\"n\",\n\"mtu\": 9217}"),
            "a.jsonc:2: /mtu: expected an integer from 576 to 9216, found 9217\n");
  EXPECT_EQ(complaints_of("{\"instance\":\"n\",\n\"mtu\": -1}"),
            "a.jsonc:2: /mtu: expected an integer from 576 to 9216, found -1\n");
  EXPECT_EQ(complaints_of("{\"instance\":\"n\",\n\"mtu\": 1500.5}"),
            "a.jsonc:2: /mtu: expected an integer from 576 to 9216, found 1500.5\n");
  EXPECT_EQ(complaints_of("{\"instance\":\"n\",\n\"dead_peer_ms\": 9}"),
            "a.jsonc:2: /dead_peer_ms: expected an integer from 10 to 60000 (milliseconds), found 9\n");
}

TEST(Config, AnUnknownKeyIsRefusedAtAnyDepth) {
  EXPECT_EQ(complaints_of("{\"instance\":\"n\",\n\"mtus\": 9}"), "a.jsonc:2: /mtus: unknown key\n");
  EXPECT_EQ(complaints_of("{\"instance\":\"n\", \"ports\": [{\"interface\":\"a\"},\n{\"interface\":\"b\",\n\"x\":1}]}"),
            "a.jsonc:3: /ports/1/x: unknown key\n");
  EXPECT_EQ(complaints_of("{\"instance\":\"n\", \"vns\": {\"a/b\": {\"id\": 1,\n\"ID\": 2}}}"),
            "a.jsonc:2: /vns/a~1b/ID: unknown key\n");
}

TEST(Config, AMissingRequiredKeyIsNamedAtTheObjectThatLacksIt) {
  EXPECT_EQ(complaints_of("\n{}"), "a.jsonc:2: /instance: missing, this key is required\n");
  EXPECT_EQ(complaints_of("{\"instance\":\"n\", \"ports\": [\n {}]}"),
            "a.jsonc:2: /ports/0/interface: missing, this key is required\n");
}

TEST(Config, AnElementOutOfRangeNamesItsOwnLine) {
  EXPECT_EQ(complaints_of("{\"instance\":\"n\", \"ports\": [{\"interface\":\"a\", \"vids\": [2,\n 4094,\n 4095]}]}"),
            "a.jsonc:3: /ports/0/vids/2: expected an integer from 2 to 4094, found 4095\n");
}

TEST(Config, ADuplicateKeyNamesBothLines) {
  EXPECT_EQ(complaints_of("{\"instance\":\"n\",\n\"vns\": {\"a\": {\"id\": 1},\n \"b\": {\"id\": 1},\n\"a\": {}}}"),
            "a.jsonc:4: /vns/a: the key stands twice, first in line 2; expected it once");
}

TEST(Config, ASyntaxErrorNamesFileAndLine) {
  const std::string trailing = complaints_of("{\n\"instance\": \"n\",\n}");
  EXPECT_EQ(trailing.rfind("a.jsonc:3: ", 0), 0u) << trailing;
  EXPECT_NE(trailing.find("expected"), std::string::npos) << trailing;
  const std::string bare = complaints_of("{\n\"instance\": n1}");
  EXPECT_EQ(bare.rfind("a.jsonc:2: ", 0), 0u) << bare;
  EXPECT_EQ(complaints_of("").rfind("a.jsonc:1: ", 0), 0u);
  EXPECT_EQ(complaints_of("[1]"), "a.jsonc:1: top level: expected an object");
}

TEST(Config, ANumberThatNoTypeHoldsNamesItsLine) {
  EXPECT_EQ(complaints_of("{\n\"ecp\": {\n\"rte\": 9e9999}}"), "a.jsonc:3: the number 9e9999 is too large");
}

TEST(Config, OnlyBracketsOfTheDocumentItselfCountAsNesting) {
  const std::string open(40, '['), close(40, ']');
  EXPECT_EQ(complaints_of("{\"a\": " + open + close + "}"), "a.jsonc: objects and arrays nest deeper than 32 levels");
  const std::string harmless =
      complaints_of("{ // " + open + "\"\n/* " + open + "\" *//* */ \"instance\": \"" + open + "\\\"" + open + "\"}");
  EXPECT_EQ(harmless.find("nest"), std::string::npos) << harmless;
}

TEST(Config, AllComplaintsComeAtOnceInTheOrderOfTheirLines) {
  EXPECT_EQ(complaints_of("{\"oops\": 1,\n\"mtu\": 1,\n\"instance\": 1}"),
            "a.jsonc:1: /oops: unknown key\n"
            "a.jsonc:2: /mtu: expected an integer from 576 to 9216, found 1\n"
            "a.jsonc:3: /instance: expected a string, found 1\n");
}

TEST(Config, LinesHoldBehindCommentsAndStringsThatLookLikeStructure) {
  EXPECT_EQ(complaints_of("// {\n/* \"mtu\": 1,\n */ {\"instance\": \"}//,\\\"\\n\",\n \"mtu\":\n 1}"),
            "a.jsonc:4: /mtu: expected an integer from 576 to 9216, found 1\n");
}

TEST(Config, ADaemonsOwnComplaintNamesTheKey) {
  auto document = ConfigDocument::parse("{\"vn\":\n\"green\"}", "a.jsonc");
  ASSERT_TRUE(document);
  document->root().refuse("vn", "the name of a VN in /vns");
  const auto errors = document->finish();
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].to_string(), "a.jsonc:1: /vn: expected the name of a VN in /vns, found \"green\"");
}

TEST(Config, AMissingFileIsOneClearError) {
  const testing::TemporaryFolder folder;
  const auto document = ConfigDocument::load(folder.file("none.jsonc"));
  ASSERT_FALSE(document);
  EXPECT_EQ(document.error().where, folder.file("none.jsonc"));
  EXPECT_NE(document.error().what.find("No such file"), std::string::npos);
}

}  // namespace
}  // namespace splitnve::host
