// SPDX-License-Identifier: Apache-2.0
// Station and bridge against each other over a link that loses whole VDPDUs or only the news of their delivery, with a
// small agent that decides. Random intents first; afterwards both sides must agree. A failure names its seed.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "splitnve/base/limits.hpp"
#include "transaction_support.hpp"

namespace splitnve::vdp::test {
namespace {

constexpr Duration kStep = milliseconds(10);
constexpr std::uint32_t kVsis = 12;
constexpr std::uint64_t kMacsPerVsi = 4;

/// What the agent behind the bridge knows, and how it decides: as S2, S3 and S20 ask of such a bridge.
class Agent {
 public:
  struct Held {
    Level level = Level::kNone;
    Vid vid;
    Instant renewed{};
  };
  using Addresses = std::map<MacAddress, Held>;
  using Key = std::pair<VsiId, GroupId>;

  Agent(Bridge& bridge, Flags capabilities) : bridge_(bridge), capabilities_(capabilities) {}

  /// Requests of one VSI are decided in their order, whatever time each would take.
  void handle(Request request, Instant decided_at) {
    Instant& last = last_decision_[request.vsi];
    last = std::max(last, decided_at);
    waiting_.emplace(last, std::move(request));
  }
  void handle_time(Instant now) {
    while (!waiting_.empty() && waiting_.begin()->first <= now) {
      const Request request = std::move(waiting_.extract(waiting_.begin()).mapped());
      if (bridge_.state(request.id) == Bridge::RequestState::kDeciding) decide(request, now);
    }
  }
  bool idle() const { return waiting_.empty(); }
  const Addresses& at(const Key& key) { return held_[key]; }
  std::size_t size() const {
    std::size_t addresses = 0;
    for (const auto& [key, held] : held_) addresses += held.size();
    return addresses;
  }
  void expect_renewed(Instant now) const {
    for (const auto& [key, held] : held_)
      for (const auto& [mac, entry] : held) EXPECT_LE(now - entry.renewed, kTiming.keepalive_timeout());
  }
  unsigned contradictions() const { return contradictions_; }

 private:
  void decide(const Request& request, Instant now) {
    Addresses& held = held_[{request.vsi, request.entries.front().group}];
    if (request.command == TlvType::kDeAssociate) {
      for (const FilterEntry& e : request.entries) held.erase(e.mac);
      bridge_.respond(request.id, {}, request.entries);
      return;
    }
    if (contradicts(request, held)) {
      ++contradictions_;
      bridge_.respond(request.id, {Code::kOther, true, false}, {});
      return;
    }
    Entries entries = request.entries;
    for (FilterEntry& e : entries) {
      Held& address = held[e.mac];
      if (address.vid.is_null()) address.vid = e.vid.is_null() ? Vid(next_vid_++ % 3000 + 100) : e.vid;
      address.level = request.command == TlvType::kAssociate && !request.suspended ? Level::kActive : Level::kReserved;
      address.renewed = now;
      e.vid = address.vid;
    }
    bridge_.respond(request.id, {}, entries);
  }
  /// What a legacy bridge refuses: another set than it holds, and the way back from Associate.
  bool contradicts(const Request& request, const Addresses& held) const {
    if (!capabilities_.has(Flag::kIncrementalFilter) && !held.empty()) {
      std::set<MacAddress> named;
      for (const FilterEntry& e : request.entries) named.insert(e.mac);
      for (const auto& [mac, entry] : held)
        if (named.erase(mac) == 0) return true;
      if (!named.empty()) return true;
    }
    if (capabilities_.has(Flag::kDeactivate) || request.command == TlvType::kAssociate) return false;
    for (const FilterEntry& e : request.entries)
      if (held.contains(e.mac) && held.at(e.mac).level == Level::kActive) return true;
    return false;
  }

  Bridge& bridge_;
  Flags capabilities_;
  std::multimap<Instant, Request> waiting_;
  std::map<VsiId, Instant> last_decision_;
  std::map<Key, Addresses> held_;
  std::uint16_t next_vid_ = 0;
  unsigned contradictions_ = 0;
};

struct Scenario {
  Flags capabilities;
  unsigned seed;
};

class World {
 public:
  explicit World(Scenario scenario)
      : random_(scenario.seed),
        full_set_(!scenario.capabilities.has(Flag::kIncrementalFilter)),
        station_(kTiming, scenario.capabilities),
        bridge_(kTiming, limits::kDecisionDeadline),
        agent_(bridge_, scenario.capabilities) {}

  void set_loss(double share) { loss_ = share; }
  /// One random wish of the owner.
  void wish() {
    const auto n = std::uniform_int_distribution<std::uint32_t>(0, kVsis - 1)(random_);
    const GroupId group = chance(0.5) ? kBlue : kRed;
    const auto found = station_.find(vsi(n), group);
    const auto handle = found ? *found : station_.open(spec(n, group, chance(0.5) ? '1' : '2'));
    if (chance(0.05)) {
      station_.close(handle, now_);
    } else if (chance(0.02)) {
      station_.reassert_all(now_);
    } else {
      const auto address = mac(std::uniform_int_distribution<std::uint64_t>(1, kMacsPerVsi)(random_));
      const auto level = static_cast<Level>(std::uniform_int_distribution<int>(0, 2)(random_));
      station_.set_entry(handle, address, level, chance(0.3) ? Vid(77) : Vid(), now_);
    }
    drain();
  }
  void step() {
    now_ += kStep;
    silently([&] { station_.handle_time(now_); });
    agent_.handle_time(now_);
    while (bridge_.poll_expired(now_)) {
    }
    OctetString octets;
    if (!chance(0.3)) {  // ECP is not always ready
      std::set<Station::Handle> before = queued();
      bool composed = false;
      silently([&] { composed = station_.compose(octets, now_); });
      if (composed) {
        expect_one_request_each(octets, before);
        const bool delivered = !chance(loss_);
        if (delivered) {
          EXPECT_TRUE(bridge_.handle_vdpdu(octets, now_));
          while (auto request = bridge_.poll_request()) agent_.handle(std::move(*request), now_ + delay());
        }
        const bool told = delivered && !chance(loss_ / 4);
        silently([&] { told ? station_.handle_delivered(now_) : station_.handle_delivery_failed(now_); });
      }
    }
    if (bridge_.compose(octets, now_)) {
      const bool delivered = !chance(loss_);
      if (delivered) (void)station_.handle_vdpdu(octets, now_);
      delivered && !chance(loss_ / 4) ? bridge_.handle_delivered(now_) : bridge_.handle_delivery_failed(now_);
    }
    drain();
  }
  bool quiet() const {
    if (!agent_.idle() || bridge_.queued() || station_.queued()) return false;
    bool settled = true;
    each([&](Station::Handle h) { settled = settled && station_.state(h) == Station::State::kSettled; });
    return settled;
  }
  void expect_agreement() {
    std::size_t addresses = 0;
    each_key([&](Station::Handle h, const Agent::Key& key) {
      for (const Station::EntryView& e : station_.entries(h)) {
        ++addresses;
        EXPECT_EQ(e.desired, e.confirmed);
        const auto& held = agent_.at(key);
        ASSERT_TRUE(held.contains(e.mac)) << EventText::number(e.mac);
        EXPECT_EQ(held.at(e.mac).vid, e.vid);
        // A bridge that knows one level per VSI may hold a reserved address associated beside an active one.
        if (!full_set_ || e.desired == Level::kActive) {
          EXPECT_EQ(held.at(e.mac).level, e.desired);
        }
      }
    });
    EXPECT_EQ(agent_.size(), addresses) << "nothing is left at the bridge that the station does not know";
  }
  Station& station() { return station_; }
  Bridge& bridge() { return bridge_; }
  Agent& agent() { return agent_; }
  Instant now() const { return now_; }

 private:
  using Levels = std::map<std::pair<Station::Handle, MacAddress>, Level>;

  bool chance(double share) { return std::uniform_real_distribution<>(0, 1)(random_) < share; }
  Duration delay() { return milliseconds(std::uniform_int_distribution<>(0, 60)(random_)); }
  template <class F>
  void each_key(F&& visit) const {
    for (std::uint32_t n = 0; n < kVsis; ++n)
      for (const GroupId group : {kBlue, kRed})
        if (const auto handle = station_.find(vsi(n), group)) visit(*handle, Agent::Key{vsi(n), group});
  }
  template <class F>
  void each(F&& visit) const {
    each_key([&](Station::Handle h, const Agent::Key&) { visit(h); });
  }
  std::set<Station::Handle> queued() const {
    std::set<Station::Handle> handles;
    each([&](Station::Handle h) {
      if (station_.state(h) == Station::State::kQueued) handles.insert(h);
    });
    return handles;
  }
  Levels confirmed() const {
    Levels levels;
    each([&](Station::Handle h) {
      for (const auto& e : station_.entries(h)) levels[{h, e.mac}] = e.confirmed;
    });
    return levels;
  }
  /// Time, sending and ECP outcomes tell nothing about the peer: no confirmed level may change by them (S8).
  template <class F>
  void silently(F&& happen) {
    const Levels before = confirmed();
    happen();
    EXPECT_EQ(confirmed(), before);
  }
  void expect_one_request_each(const OctetString& octets, std::set<Station::Handle>& queued_before) {
    EXPECT_LE(octets.size(), limits::kVdpduOctetsMax);
    const auto vdpdu = *read_vdpdu(octets);
    for (const CopiedTlv& tlv : vdpdu.tlvs) {
      const auto& a = std::get<CopiedAssociation>(tlv);
      const auto handle = station_.find(a.vsi, a.entries.at(0).group);
      ASSERT_TRUE(handle);
      EXPECT_EQ(queued_before.erase(*handle), 1u) << "a request was outstanding already";
      EXPECT_EQ(station_.state(*handle), Station::State::kAwaitingResponse);
    }
  }
  /// The owner tries again what was refused, as an agent does on a superseded request.
  void drain() {
    while (const auto event = station_.poll_event()) {
      const auto* refused = std::get_if<Station::Refused>(&*event);
      if (refused == nullptr) continue;
      bool alive = false;
      each([&](Station::Handle h) { alive |= h == refused->handle; });
      if (!alive) continue;
      for (const auto& e : station_.entries(refused->handle))
        if (e.desired != e.confirmed) station_.set_entry(refused->handle, e.mac, e.desired, Vid(), now_);
    }
  }

  std::mt19937 random_;
  bool full_set_;
  double loss_ = 0;
  Instant now_ = at({});
  Station station_;
  Bridge bridge_;
  Agent agent_;
};

class Loopback : public ::testing::TestWithParam<Flags> {};
INSTANTIATE_TEST_SUITE_P(Peers, Loopback, ::testing::Values(kAll, kIncremental, kDeactivating, kLegacy));

TEST_P(Loopback, ConvergesAfterRandomIntentsOverALossyLink) {
  for (unsigned seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world({GetParam(), seed});
    world.set_loss(0.2);
    for (int i = 0; i < 500; ++i) {
      world.wish();
      world.step();
      EXPECT_LE(world.bridge().deciding(), std::size_t{2 * kVsis} * 4) << "the station asks one thing at a time";
    }
    unsigned steps = 0;
    while (!world.quiet() && ++steps < 60'000) world.step();
    ASSERT_TRUE(world.quiet());
    world.expect_agreement();
    EXPECT_EQ(world.agent().contradictions(), 0u);
    if (HasFailure()) return;
  }
}

TEST_P(Loopback, KeepAlivesRenewEveryEntryInTimeOnceTheLinkIsGood) {
  World world({GetParam(), 99});
  for (int i = 0; i < 100; ++i) {
    world.wish();
    world.step();
  }
  while (!world.quiet()) world.step();
  ASSERT_GT(world.agent().size(), 10u);
  const auto before = world.station().stats().keepalives;
  const Instant end = world.now() + 3 * kTiming.keepalive_interval();
  while (world.now() < end) {
    world.step();
    world.agent().expect_renewed(world.now());
    if (HasFailure()) return;
  }
  EXPECT_GT(world.station().stats().keepalives, before);
  EXPECT_EQ(world.station().stats().timeouts, 0u);
  world.expect_agreement();
}

/// Neither machine may trip over what a peer sends: both get VDPDUs with flipped octets, and keep their bounds.
TEST_P(Loopback, SurvivesMutatedVdpdus) {
  for (unsigned seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world({GetParam(), seed});
    std::mt19937 random(seed);
    std::vector<OctetString> heard;
    for (int i = 0; i < 400; ++i) {
      world.wish();
      world.step();
      const auto n = std::uniform_int_distribution<std::uint32_t>(0, kVsis - 1)(random);
      OctetString octets = one(static_cast<TlvType>(1 + random() % 4), random() % 2 == 0 ? 0x40 : 0, vsi(n),
                               {entry(mac(1 + random() % kMacsPerVsi), static_cast<std::uint16_t>(random() % 4096))});
      for (auto flips = random() % 3; flips > 0; --flips)
        octets[random() % octets.size()] ^= static_cast<std::uint8_t>(1u << (random() % 8));
      (void)world.station().handle_vdpdu(octets, world.now());
      (void)world.bridge().handle_vdpdu(octets, world.now());
      while (world.bridge().poll_request()) {
      }
    }
    EXPECT_LE(world.bridge().deciding(), limits::kPendingRequestsPerPeerMax);
    const auto& stats = world.station().stats();
    EXPECT_GT(stats.unmatched + stats.revoked + stats.skipped_tlvs, 0u);
  }
}

}  // namespace
}  // namespace splitnve::vdp::test
