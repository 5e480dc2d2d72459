// SPDX-License-Identifier: Apache-2.0
#include "load.hpp"

#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <thread>

#include "wire.hpp"

namespace splitnve::bench {
namespace {

constexpr std::uint32_t kTsisPerRequest = 400;
constexpr std::uint32_t kFirstGuestTag = 1000;
constexpr std::size_t kFullFrame = 1514, kMinimalFrame = 60;
constexpr std::size_t kRoundTrips = 4000;
constexpr double kLinkSeconds = 10;

std::string item(std::uint32_t i, const char* state) {
  std::array<char, 256> text;
  std::snprintf(
      text.data(), text.size(),
      R"({"vsi":"%s","vn":%u,"macs":["02:00:%02x:%02x:%02x:%02x"],"interface":"trunk0","guest_tag":%u,"state":"%s"})",
      vsi_of(i).c_str(), kFirstVn + i % kVns, i >> 24, (i >> 16) & 0xFF, (i >> 8) & 0xFF, i & 0xFF,
      kFirstGuestTag + i % kVns, state);
  return text.data();
}

}  // namespace

std::string vsi_of(std::uint32_t i) {
  std::array<char, 40> text;
  std::snprintf(text.data(), text.size(), "be000000-0000-4000-8000-0000%08x", i);
  return text.data();
}

std::vector<std::string> apply_requests(std::uint32_t first, std::uint32_t count, const char* state, const char* more) {
  std::vector<std::string> requests;
  for (std::uint32_t done = 0; done < count;) {
    const std::uint32_t size = std::min(kTsisPerRequest, count - done);
    std::string line = std::string(R"({"id":1,"verb":"tsi.apply","args":{)") + more + R"("tsis":[)";
    for (std::uint32_t n = 0; n < size; ++n) line += (n == 0 ? "" : ",") + item(first + done + n, state);
    requests.push_back(line + "]}}\n");
    done += size;
  }
  return requests;
}

double apply(const std::string& socket, const std::vector<std::string>& requests, std::uint32_t connections) {
  std::vector<std::unique_ptr<Client>> clients;
  for (std::uint32_t n = 0; n < connections; ++n) clients.push_back(std::make_unique<Client>(socket));
  std::atomic<std::size_t> next = 0;
  std::vector<std::string> refusals(connections);
  const auto serve = [&](std::size_t which) {
    try {
      for (std::size_t n = next++; n < requests.size(); n = next++) {
        const auto reply = clients[which]->call(requests[n]);
        if (!reply.ok() || reply.end.find("\"refused\":[]") == std::string::npos)
          refusals[which] = reply.end.substr(0, 400);
      }
    } catch (const std::exception& error) {
      refusals[which] = error.what();
    }
  };
  const auto begun = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
  for (std::size_t n = 0; n < connections; ++n) threads.emplace_back(serve, n);
  for (auto& thread : threads) thread.join();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  for (const auto& refusal : refusals)
    if (!refusal.empty()) give_up("tsi.apply: " + refusal);
  return took.count();
}

double verb_us(Client& client, const char* verb, std::uint32_t i) {
  const std::string line =
      std::string(R"({"id":1,"verb":"tsi.)") + verb + R"(","args":{"vsi":")" + vsi_of(i) + "\"}}\n";
  const auto begun = Clock::now();
  const auto reply = client.call(line);
  const double took = seconds_since(begun) * kMillion;
  if (!reply.ok()) give_up(std::string(verb) + ": " + reply.end);
  return took;
}

Pair::Pair(const Setting& setting, const std::string& lane)
    : nnved(setting.build + "/src/nnved/nnved", setting.work + "/sw" + lane + ".json", "sw" + lane,
            "/run/splitnve/sw" + lane + ".sock", setting.work + "/sw" + lane + ".log"),
      tnved(setting.build + "/src/tnved/tnved", setting.work + "/hv" + lane + ".json", "hv" + lane,
            "/run/splitnve/hv" + lane + ".sock", setting.work + "/hv" + lane + ".log") {}

double Pair::load(std::uint32_t first, std::uint32_t count, std::uint32_t connections) const {
  return apply(tnved.socket(), apply_requests(first, count, "activated"), connections);
}

double Pair::peer_counter(const std::string& name) const {
  const std::string key = "\"" + name + "\":";
  Client client(tnved.socket());
  const auto reply = client.call("{\"id\":1,\"verb\":\"peer.show\"}\n");
  const auto at = reply.first.find(key);
  if (!reply.ok() || at == std::string::npos) give_up("peer.show does not tell " + name + ": " + reply.end);
  return std::strtod(reply.first.c_str() + at + key.size(), nullptr);
}

Client::Reply show(const Daemon& daemon, const std::string& text) {
  Client client(daemon.socket());
  auto reply = client.call("{\"id\":1,\"verb\":\"tsi.show\"}\n", text);
  if (!reply.ok()) give_up("tsi.show: " + reply.end);
  return reply;
}

void Pair::set_link(bool up) const {
  if (std::system(up ? "ip -n sw link set p1 up" : "ip -n sw link set p1 down") != 0) give_up("cannot set the link");
  Client client(tnved.socket());
  const auto begun = Clock::now();
  const std::string told = up ? "\"link_up\":true" : "\"link_up\":false";
  while (client.call("{\"id\":1,\"verb\":\"peer.show\"}\n", told).matching == 0) {
    if (seconds_since(begun) > kLinkSeconds) give_up("tnved does not see the link change");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void Pair::spread() const {
  const unsigned processors = std::max(1u, std::thread::hardware_concurrency());
  unsigned next = 0;
  for (const Daemon* daemon : {&nnved, &tnved}) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(next++ % processors, &one);
    if (sched_setaffinity(daemon->pid(), sizeof one, &one) != 0) give_up("cannot give a daemon its processor");
  }
}

void wipe(const std::string& instance) {
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove("/run/splitnve/" + instance + ".db" + suffix);
  std::filesystem::remove_all("/sys/fs/bpf/splitnve/" + instance);
}

bool Pair::all_active(std::uint32_t count) const {
  return show(nnved, kActivated).matching == count && show(tnved, "\"port_open\":true").matching == count;
}

double add_wire_baseline(Report& report) {
  auto full = round_trips_us("wire0", "wire1", kFullFrame, kRoundTrips);
  auto minimal = round_trips_us("wire0", "wire1", kMinimalFrame, kRoundTrips);
  if (full.size() != kRoundTrips || minimal.size() != kRoundTrips) give_up("the raw round trip could not be measured");
  const double p50 = percentile(full, 0.5);
  report.baseline("wire_1500_p50_us", p50);
  report.baseline("wire_1500_p99_us", percentile(full, 0.99));
  report.baseline("wire_60_p50_us", percentile(minimal, 0.5));
  report.baseline("wire_60_p99_us", percentile(minimal, 0.99));
  return p50;
}

}  // namespace splitnve::bench
