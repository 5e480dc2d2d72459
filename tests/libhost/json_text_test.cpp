// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/json_text.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>

namespace splitnve::host {
namespace {

using nlohmann::json;

TEST(JsonText, MembersAndElementsAreSeparatedWhereTheyHaveToBe) {
  std::string out = "before ";
  JsonText text(out);
  text.open('{').member("a", 1u).key("none").open('[').close(']').key("list").open('[');
  text.value(1u).open('{').member("x", true).close('}').open('{').close('}').value("s").close(']');
  text.key("tree").tree({{"k", nullptr}}).key("nothing").null().member("no", false).close('}');
  EXPECT_EQ(out,
            R"(before {"a":1,"none":[],"list":[1,{"x":true},{},"s"],"tree":{"k":null},"nothing":null,"no":false})");
}

TEST(JsonText, NumbersReachTheirLimits) {
  std::string out;
  JsonText text(out);
  text.open('[').value(std::uint8_t{255}).value(std::uint16_t{65535}).value(std::numeric_limits<std::uint64_t>::max());
  text.value(0u).close(']');
  EXPECT_EQ(out, "[255,65535,18446744073709551615,0]");
}

TEST(JsonText, EveryOctetOfATextIsWrittenAsTheTreeWritesIt) {
  for (int octet = 0; octet < 256; ++octet) {
    const std::string text{'a', static_cast<char>(octet), 'z'};
    std::string out;
    JsonText(out).value(text);
    EXPECT_EQ(out, json(text).dump(-1, ' ', false, json::error_handler_t::replace)) << octet;
    EXPECT_TRUE(json::accept(out)) << octet;
  }
  std::string out;
  JsonText(out).value("M\xc3\xbcnchen \"\x1b[2J\n\xff");
  EXPECT_EQ(json::parse(out), "M\xc3\xbcnchen \"\x1b[2J\n\xef\xbf\xbd");
}

}  // namespace
}  // namespace splitnve::host
