// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "apply.hpp"
#include "request.hpp"
#include "splitnve/host/log.hpp"
#include "table.hpp"

namespace splitnve::vdpctl {
namespace {

using nlohmann::json;

constexpr const char* kUuid = "6f1c2d3e-0001-4000-8000-000000000001";

std::variant<Request, Exit> parse_words(std::vector<const char*> words) {
  words.insert(words.begin(), "vdpctl");
  return parse(static_cast<int>(words.size()), words.data());
}

Request request_of(std::vector<const char*> words) {
  auto parsed = parse_words(std::move(words));
  EXPECT_TRUE(std::holds_alternative<Request>(parsed));
  return std::holds_alternative<Request>(parsed) ? std::get<Request>(parsed) : Request{};
}

bool is_usage_error(std::vector<const char*> words) {
  testing::internal::CaptureStderr();
  const auto parsed = parse_words(std::move(words));
  const std::string complaint = testing::internal::GetCapturedStderr();
  return std::holds_alternative<Exit>(parsed) && std::get<Exit>(parsed) == Exit::kUsage && !complaint.empty();
}

class Folder {
 public:
  Folder() {
    std::string name = "/tmp/vdpctl-test-XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  void touch(const std::string& file) const { std::ofstream(path_ + "/" + file) << ""; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(VdpctlTable, ColumnsAreAsWideAsTheirContent) {
  const std::vector<json> rows = {{{"port", "p1"}, {"vn", 70001}, {"state", "connected"}, {"local_tag", 100}},
                                  {{"port", "p2"}, {"vn", 7}, {"state", "disconnected"}, {"local_tag", 2}}};
  EXPECT_EQ(table("vn.show", rows),
            "PORT  VN     STATE         TAG\n"
            "p1    70001  connected     100\n"
            "p2    7      disconnected  2\n");
}

TEST(VdpctlTable, ColumnsThatNoRowFillsAreLeftOut) {
  const std::vector<json> rows = {{{"vsi", "a"}, {"state", "activated"}, {"reason", ""}, {"vn_alias", nullptr}}};
  EXPECT_EQ(table("tsi.show", rows), "TSI  STATE\na    activated\n");
}

TEST(VdpctlTable, ARowWithoutAMemberShowsADash) {
  const std::vector<json> rows = {{{"port", "p1"}, {"vni", 5}}, {{"port", "p2"}}};
  EXPECT_EQ(table("vn.show", rows), "PORT  VNI\np1    5\np2    -\n");
}

TEST(VdpctlTable, AnUnknownVerbShowsEveryMember) {
  EXPECT_EQ(table("later.show", {{{"name", "closed"}, {"value", 3}}}), "name    value\nclosed  3\n");
}

TEST(VdpctlTable, RowsThatAreNoObjectsShowNothingButDoNotFail) {
  EXPECT_EQ(table("vn.show", {json(3), {{"port", "p1"}}}), "PORT\n-\np1\n");
}

TEST(VdpctlTable, EvbValuesStandInTheOrderInWhichTheyAreSpokenOf) {
  const json values{{"rka", 17}, {"r", 5}, {"rwd", 20}, {"rte", 12}};
  EXPECT_EQ(table("evb.show", {{{"interface", "p1"}, {"operational", values}, {"remote", nullptr}}}),
            "INTERFACE  OPERATIONAL\np1         5/12/20/17\n");
}

TEST(VdpctlTable, NoRowsIsSaid) { EXPECT_EQ(table("tsi.show", {}), "none\n"); }

TEST(VdpctlTable, AddressesShowWhichAreActive) {
  const json addresses = json::parse(R"([{"mac":"02:aa:00:00:00:01","vid":100,"active":true},
                                         {"mac":"02:aa:00:00:00:02","vid":100,"active":false}])");
  EXPECT_EQ(cell(addresses), "02:aa:00:00:00:01*,02:aa:00:00:00:02");
}

TEST(VdpctlTable, AnAddressShowsItsIps) {
  const json addresses = json::parse(R"([{"mac":"02:aa:00:00:00:01","active":true,"ips":["192.0.2.7","2001:db8::/64"]},
                                         {"mac":"02:aa:00:00:00:02","active":false,"ips":[]}])");
  EXPECT_EQ(cell(addresses), "02:aa:00:00:00:01*(192.0.2.7,2001:db8::/64),02:aa:00:00:00:02");
}

TEST(VdpctlTable, TerminalEscapesOfAPeerAreNeutralised) {
  EXPECT_EQ(host::printable("\x1b[2Jred\r\n\t\x7f"), "\\x1b[2Jred\\x0d\\x0a\\x09\\x7f");
  EXPECT_EQ(host::printable("\xc2\x9b"), "\\xc2\\x9b") << "a C1 control in UTF-8";
  EXPECT_EQ(host::printable("\xe2\x80\xae"), "\\xe2\\x80\\xae") << "right-to-left override";
  EXPECT_EQ(host::printable("M\xc3\xbcnchen"), "M\xc3\xbcnchen");
  EXPECT_EQ(host::printable("\xc3"), "\\xc3") << "cut off in the middle of a letter";
  EXPECT_EQ(table("later.show", {{{"a\nb", "\x1b"}}}), "a\\x0ab\n\\x1b\n");
}

TEST(VdpctlRequest, AShowVerbHasNoArguments) {
  const Request request = request_of({"-j", "-s", "sw1", "tsi", "show"});
  EXPECT_EQ(request.verb, "tsi.show");
  EXPECT_TRUE(request.has_rows());
  EXPECT_TRUE(request.json_output);
  EXPECT_EQ(request.socket, "sw1");
  EXPECT_EQ(request.args, json::object());
}

TEST(VdpctlRequest, CreateCarriesTheWholeDescription) {
  const Request request =
      request_of({"tsi", "create", kUuid, "--vn", "blue", "--mac", "02:aa:00:00:00:01", "--mac", "02:aa:00:00:00:02",
                  "--interface", "tap0", "--guest-tag", "7", "--timeout-ms", "900"});
  EXPECT_EQ(request.verb, "tsi.create");
  EXPECT_FALSE(request.has_rows());
  EXPECT_EQ(request.args, (json{{"vsi", kUuid},
                                {"vn", "blue"},
                                {"macs", {"02:aa:00:00:00:01", "02:aa:00:00:00:02"}},
                                {"interface", "tap0"},
                                {"guest_tag", 7}}));
  EXPECT_EQ(request.silence_max, std::chrono::milliseconds(900));
}

TEST(VdpctlRequest, VerbsOfTheWholeDaemonStandAlone) {
  const Request audit = request_of({"audit", "--fix"});
  EXPECT_EQ(audit.verb, "audit");
  EXPECT_TRUE(audit.has_rows());
  EXPECT_EQ(audit.args, (json{{"fix", true}}));
  EXPECT_EQ(request_of({"drain"}).args, json::object());
  EXPECT_EQ(request_of({"drain", "--remove"}).args, (json{{"remove", true}}));
  EXPECT_EQ(request_of({"undrain"}).verb, "undrain");
}

TEST(VdpctlRequest, ALatchNamesPortAndVnOrTheVsi) {
  const Request disconnect =
      request_of({"vn", "disconnect", "--port", "p1", "--vn", "blue", "--reason", "moving to rack 4"});
  EXPECT_EQ(disconnect.verb, "vn.disconnect");
  EXPECT_EQ(disconnect.args, (json{{"port", "p1"}, {"vn", "blue"}, {"reason", "moving to rack 4"}}));
  EXPECT_EQ(request_of({"vn", "connect", "blue"}).verb, "vn.connect");
  EXPECT_EQ(request_of({"vn", "disconnect", "70001", "--all"}).args, (json{{"vn", 70001}, {"all", true}}));
  EXPECT_EQ(request_of({"vn", "release", "--port", "p1", "--vn", "7"}).args, (json{{"port", "p1"}, {"vn", 7}}));
  EXPECT_EQ(request_of({"tsi", "release", kUuid}).args, (json{{"vsi", kUuid}}));
}

TEST(VdpctlRequest, AVnThatIsANumberIsSentAsOne) {
  const Request request = request_of({"tsi", "migrate-in", kUuid, "--vn", "70001", "--mac", "02:aa:00:00:00:01"});
  EXPECT_EQ(request.verb, "tsi.migrate-in");
  EXPECT_EQ(request.args["vn"], json(70001));
}

TEST(VdpctlRequest, WrongUsageIsExitTwoWithAWord) {
  EXPECT_TRUE(is_usage_error({}));
  EXPECT_TRUE(is_usage_error({"tsi"}));
  EXPECT_TRUE(is_usage_error({"tsi", "explode", kUuid}));
  EXPECT_TRUE(is_usage_error({"tsi", "start", "not-a-uuid"}));
  EXPECT_TRUE(is_usage_error({"tsi", "create", kUuid, "--vn", "blue"}));
  EXPECT_TRUE(is_usage_error({"tsi", "create", kUuid, "--vn", "blue", "--mac", "03:aa:00:00:00:01"}));
  EXPECT_TRUE(is_usage_error({"tsi", "create", kUuid, "--vn", "blue", "--mac", "02:aa"}));
  EXPECT_TRUE(is_usage_error({"tsi", "remove", "0"}));
}

TEST(VdpctlRequest, AWordThatIsNoCommandIsNamedBesideThoseThatAre) {
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(std::get<Exit>(parse_words({"evb", "shwo"})), Exit::kUsage);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "evb: no command 'shwo'; there are show\n");
}

TEST(VdpctlRequest, ApplyNamesItsFile) {
  const Request request = request_of({"tsi", "apply", "tsis.json"});
  EXPECT_EQ(request.verb, "tsi.apply");
  EXPECT_EQ(request.apply_file, "tsis.json");
  EXPECT_TRUE(is_usage_error({"tsi", "apply"}));
}

TEST(VdpctlApply, EveryTsiIsInOneChunkAndEveryChunkFitsARequest) {
  json tsis = json::array();
  for (int i = 0; i < 1000; ++i) tsis.push_back({{"vsi", kUuid}, {"n", i}});
  tsis.push_back({{"vsi", std::string(50'000, 'x')}});
  tsis.push_back({{"vsi", std::string(50'000, 'y')}});
  const auto chunks = chunks_of(tsis);
  json together = json::array();
  for (const json& chunk : chunks) {
    EXPECT_LE(chunk["tsis"].size(), kChunkTsisMax);
    EXPECT_LE(chunk.dump().size(), 64u * 1024 - 64);
    for (const json& tsi : chunk["tsis"]) together.push_back(tsi);
  }
  EXPECT_EQ(together, tsis);
  EXPECT_EQ(chunks.size(), 5u) << "400, 400, 200, and one for each of the long ones";
}

TEST(VdpctlApply, NothingToApplyIsNoRequest) { EXPECT_TRUE(chunks_of(json::array()).empty()); }

TEST(VdpctlSocket, TheOnlySocketIsTakenAndOtherFilesAreNot) {
  const Folder folder;
  folder.touch("sw1.sock");
  folder.touch("sw1.db");
  EXPECT_EQ(choose_socket("", folder.path()).path, folder.path() + "/sw1.sock");
}

TEST(VdpctlSocket, NoneOrSeveralSayWhatToDo) {
  const Folder folder;
  EXPECT_NE(choose_socket("", folder.path()).complaint.find("start nnved or tnved"), std::string::npos);
  EXPECT_NE(choose_socket("", folder.path() + "/absent").complaint.find("start nnved or tnved"), std::string::npos);
  folder.touch("sw1.sock");
  folder.touch("hv1.sock");
  EXPECT_NE(choose_socket("", folder.path()).complaint.find("one of hv1 sw1"), std::string::npos);
}

TEST(VdpctlSocket, AGivenNameIsAnInstanceAndAPathIsAPath) {
  EXPECT_EQ(choose_socket("sw1", "/run/splitnve").path, "/run/splitnve/sw1.sock");
  EXPECT_EQ(choose_socket("./x.sock", "/run/splitnve").path, "./x.sock");
}

}  // namespace
}  // namespace splitnve::vdpctl
