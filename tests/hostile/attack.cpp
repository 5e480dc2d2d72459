// SPDX-License-Identifier: Apache-2.0
// What a flood at one port of nnved costs others. tests/netns/hostile.sh makes the topology and judges the figures.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <map>
#include <random>
#include <sstream>
#include <thread>
#include <vector>

#include "catalogue.hpp"
#include "wire_station.hpp"

namespace splitnve::hostile {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kVn = 70001;
constexpr std::uint32_t kVictims = 10, kFirstVictim = 1000;
constexpr std::size_t kBurst = 32;
constexpr unsigned kAttackers = 8;
constexpr MacAddress kAttacker(0x02BAD0000000ull);
constexpr auto kPause = 100ms, kSlice = 300ms;

struct Setting {
  std::string attacked, good;         ///< interfaces that end in ports of the nNVE
  MacAddress attacked_mac, good_mac;  ///< of those ports
  int pid = 0;
  double rate = 20000, seconds = 2;
  int alternations = 5;
};

enum class Flood : std::uint8_t { kNone, kDuplicates, kHostile };
const char* to_string(Flood flood) {
  switch (flood) {
    case Flood::kNone: return "quiet";
    case Flood::kDuplicates: return "duplicates";
    case Flood::kHostile: return "hostile";
  }
  return "";
}

double cpu_seconds(int pid) {
  std::ifstream stream("/proc/" + std::to_string(pid) + "/stat");
  std::string stat((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  std::istringstream fields(stat.substr(stat.rfind(')') + 1));
  std::string field;
  double ticks = 0;
  for (int n = 3; n <= 15 && fields >> field; ++n)  // utime and stime are the 14th and 15th
    if (n >= 14) ticks += std::stod(field);
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double median(std::vector<double> values) {
  if (values.empty()) give_up("nothing was measured");
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Sends at a steady rate until told to stop.
class Flooder {
 public:
  explicit Flooder(const Setting& setting) : setting_(setting), port_(setting.attacked, std::nullopt) {
    Scene scene{kAttacker, setting.attacked_mac, kVn, {}, MacAddress(0x020000000000ull + kFirstVictim)};
    scene.victim_vsi.octets[14] = kFirstVictim >> 8;
    scene.victim_vsi.octets[15] = kFirstVictim & 0xFF;
    for (unsigned n = 0; n < kAttackers; ++n) {
      scene.attacker = MacAddress(kAttacker.value() + n);
      for (Case& one : catalogue(scene))
        if (one.depth != Depth::kFilter) cases_.push_back(std::move(one));
    }
    std::shuffle(cases_.begin(), cases_.end(), random_);
    scene.attacker = kAttacker;
    VsiId own;
    own.octets[0] = 0xBA;
    duplicate_ = valid_request(scene, own, MacAddress(0x02BAD0000001ull), 1);
    unknown_ = valid_request(scene, own, MacAddress(0x02BAD0000001ull), 1);
  }

  void run(Flood flood, const std::atomic<bool>& stop) {
    if (flood == Flood::kNone) return;
    std::vector<OctetString> frames(kBurst);
    std::vector<Octets> views(kBurst);
    const auto interval = std::chrono::duration_cast<Clock::duration>(
        std::chrono::duration<double>(static_cast<double>(kBurst) / setting_.rate));
    auto next = Clock::now();
    while (!stop) {
      std::vector<const Case*> burst(kBurst, nullptr);
      for (std::size_t i = 0; i < kBurst; ++i) {
        if (flood == Flood::kHostile)
          burst[i] = hostile(frames[i]);
        else
          frames[i] = duplicate_;
        views[i] = frames[i];
      }
      const std::size_t count = port_.send_all(views);
      sent_ += count;
      for (std::size_t i = 0; i < count && flood == Flood::kHostile; ++i) tally(burst[i]);
      next += interval;
      std::this_thread::sleep_until(next);
    }
  }
  std::uint64_t sent() const { return sent_; }
  void report() const {
    std::printf("sent %llu\n", static_cast<unsigned long long>(sent_));
    for (const auto& [cause, count] : early_)
      std::printf("early\t%s\t%llu\n", cause.c_str(), static_cast<unsigned long long>(count));
    for (const auto& [name, count] : at_port_)
      std::printf("port\t%s\t%llu\n", name.c_str(), static_cast<unsigned long long>(count));
  }

 private:
  /// One in ten comes from an address never seen; the others are the catalogue's, each with a sequence number of its
  /// own.
  const Case* hostile(OctetString& frame) {
    if (random_() % 10 == 0) {
      frame = unknown_;
      for (std::size_t at = 8; at < 12; ++at) frame[at] = static_cast<std::uint8_t>(random_());
      return nullptr;
    }
    const Case& one = cases_[next_++ % cases_.size()];
    frame = one.frame;
    if (!one.fixed_sequence && one.depth == Depth::kSession && frame.size() > kSequenceOffset + 1) {
      frame[kSequenceOffset] = static_cast<std::uint8_t>(++sequence_ >> 8);
      frame[kSequenceOffset + 1] = static_cast<std::uint8_t>(sequence_);
    }
    return &one;
  }
  void tally(const Case* one) {
    if (one == nullptr) return;
    if (one->depth == Depth::kFrame) ++early_[one->drop];
    if (one->depth == Depth::kPort) ++at_port_[one->port_drop];
  }

  const Setting& setting_;
  RawPort port_;
  std::vector<Case> cases_;
  OctetString duplicate_, unknown_;
  std::mt19937 random_{7};
  std::size_t next_ = 0;
  std::uint16_t sequence_ = 0;
  std::uint64_t sent_ = 0;
  std::map<std::string, std::uint64_t> early_, at_port_;
};

/// A phase: a flood at one port, a station that works at the other, a victim beside the flood.
struct Phase {
  std::vector<double> activations_us, keepalives_us;
  double cpu_seconds = 0, recovery_ms = 0;
  std::uint64_t frames = 0;
  unsigned failures = 0, victim_answered = 0;

  void add(const Phase& more) {
    activations_us.insert(activations_us.end(), more.activations_us.begin(), more.activations_us.end());
    keepalives_us.insert(keepalives_us.end(), more.keepalives_us.begin(), more.keepalives_us.end());
    cpu_seconds += more.cpu_seconds;
    recovery_ms = std::max(recovery_ms, more.recovery_ms);
    frames += more.frames;
    failures += more.failures;
    victim_answered += more.victim_answered;
  }
  void print(const char* name) const {
    std::printf(
        "phase %s activation_us=%.0f keepalive_us=%.0f cpu_s=%.2f frames=%llu failures=%u victim_answered=%u "
        "recovery_ms=%.0f\n",
        name, median(activations_us), median(keepalives_us), cpu_seconds, static_cast<unsigned long long>(frames),
        failures, victim_answered, recovery_ms);
  }
};

class Measurement {
 public:
  explicit Measurement(const Setting& setting)
      : setting_(setting),
        flooder_(setting),
        good_({setting.good, MacAddress(0x0200C0000001ull), setting.good_mac, kVn, 10000}),
        victim_({setting.attacked, MacAddress(0x0200C0000002ull), setting.attacked_mac, kVn, kFirstVictim}) {
    if (!victim_.ask(vdp::TlvType::kAssociate, 0, kVictims, 5s)) give_up("the victim was not served before the flood");
    if (!good_.ask(vdp::TlvType::kAssociate, 0, 1, 5s)) give_up("the good station was not served before the flood");
  }

  Phase run(Flood flood) {
    Phase phase;
    std::atomic<bool> stop = false;
    const auto frames = flooder_.sent();
    const double cpu = cpu_seconds(setting_.pid);
    std::exception_ptr broken;
    const auto guarded = [&](auto&& work) {
      try {
        work();
      } catch (...) {
        broken = std::current_exception();
      }
    };
    std::thread flooding([&] { guarded([&] { flooder_.run(flood, stop); }); });
    std::thread suffering([&] { guarded([&] { keep_alive(stop, phase); }); });
    guarded([&] { work(phase); });
    stop = true;
    const auto ended = Clock::now();
    flooding.join();
    suffering.join();
    if (broken) std::rethrow_exception(broken);
    if (!victim_.ask(vdp::TlvType::kAssociate, 0, kVictims, 10s)) give_up("the victim is not served after the flood");
    phase.recovery_ms = std::chrono::duration<double, std::milli>(Clock::now() - ended).count();
    phase.cpu_seconds = cpu_seconds(setting_.pid) - cpu;
    phase.frames = flooder_.sent() - frames;
    return phase;
  }
  void report() const { flooder_.report(); }

 private:
  void work(Phase& phase) {
    const auto ends = Clock::now() + kSlice;
    const auto note = [&](const std::optional<double>& took, std::vector<double>& into) {
      if (took)
        into.push_back(*took);
      else
        ++phase.failures;
    };
    while (Clock::now() < ends) {
      const std::uint32_t n = serial_ = serial_ % 1000 + 1;
      note(good_.ask(vdp::TlvType::kAssociate, n, 1, 2s), phase.activations_us);
      note(good_.ask(vdp::TlvType::kAssociate, 0, 1, 2s), phase.keepalives_us);
      good_.ask(vdp::TlvType::kDeAssociate, n, 1, 2s);
      std::this_thread::sleep_for(1ms);  // a station that works, not a second flood
    }
  }
  void keep_alive(const std::atomic<bool>& stop, Phase& phase) {
    while (!stop) {
      if (victim_.ask(vdp::TlvType::kAssociate, 0, kVictims, 1s)) ++phase.victim_answered;
      for (auto until = Clock::now() + kPause; !stop && Clock::now() < until;) std::this_thread::sleep_for(5ms);
    }
  }

  const Setting& setting_;
  Flooder flooder_;
  WireStation good_, victim_;
  std::uint32_t serial_ = 0;
};

/// The floods alternate in slices, so that what else the machine does falls on both alike.
void run(const Setting& setting) {
  Measurement measurement(setting);
  const auto slices = std::max(1, static_cast<int>(setting.seconds / std::chrono::duration<double>(kSlice).count()));
  Phase quiet;
  for (int slice = 0; slice < slices; ++slice) quiet.add(measurement.run(Flood::kNone));
  quiet.print(to_string(Flood::kNone));
  constexpr std::array kFloods{Flood::kDuplicates, Flood::kHostile};
  std::array<std::vector<double>, 2> activation, keepalive;
  std::array<Phase, 2> all;
  for (int n = 0; n < setting.alternations; ++n) {
    std::array<Phase, 2> phases;
    for (int slice = 0; slice < slices; ++slice)
      for (std::size_t which = 0; which < 2; ++which) phases[which].add(measurement.run(kFloods[which]));
    for (std::size_t which = 0; which < 2; ++which) {
      phases[which].print(to_string(kFloods[which]));
      activation[which].push_back(median(phases[which].activations_us));
      keepalive[which].push_back(median(phases[which].keepalives_us));
      all[which].add(phases[which]);
    }
  }
  measurement.report();
  // What the good station and the victim cost is in the quiet phase.
  const auto per_frame = [&](std::size_t which) {
    return 1e6 * (all[which].cpu_seconds - setting.alternations * quiet.cpu_seconds) /
           static_cast<double>(all[which].frames);
  };
  std::printf(
      "result activation_duplicates_us=%.0f activation_hostile_us=%.0f keepalive_duplicates_us=%.0f "
      "keepalive_hostile_us=%.0f\n",
      median(activation[0]), median(activation[1]), median(keepalive[0]), median(keepalive[1]));
  std::printf(
      "result ratio=%.2f keepalive_ratio=%.2f cpu_us_per_drop=%.2f cpu_us_per_duplicate=%.2f recovery_ms=%.0f "
      "failures=%u\n",
      median(activation[1]) / median(activation[0]), median(keepalive[1]) / median(keepalive[0]), per_frame(1),
      per_frame(0), std::max(all[0].recovery_ms, all[1].recovery_ms), all[0].failures + all[1].failures);
}

MacAddress mac_argument(const std::string& text) {
  const auto mac = MacAddress::from_string(text);
  if (!mac) give_up("no MAC address: " + text);
  return *mac;
}

}  // namespace
}  // namespace splitnve::hostile

int main(int argc, char** argv) {
  using namespace splitnve::hostile;
  if (argc != 9) {
    std::fprintf(stderr, "usage: %s ATTACKED_IF ITS_PORT_MAC GOOD_IF ITS_PORT_MAC PID RATE SECONDS ALTERNATIONS\n",
                 argv[0]);
    return 2;
  }
  try {
    Setting setting;
    setting.attacked = argv[1];
    setting.attacked_mac = mac_argument(argv[2]);
    setting.good = argv[3];
    setting.good_mac = mac_argument(argv[4]);
    setting.pid = std::atoi(argv[5]);
    setting.rate = std::atof(argv[6]);
    setting.seconds = std::atof(argv[7]);
    setting.alternations = std::atoi(argv[8]);
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    run(setting);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "hostile: %s\n", error.what());
    return 1;
  }
  return 0;
}
