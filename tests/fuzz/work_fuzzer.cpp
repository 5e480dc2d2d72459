// SPDX-License-Identifier: Apache-2.0
// The input is the VDPDU of a frame. Two nnveds that differ only in how many TSIs of others they hold take it from a
// station that they know and from a stranger: neither's work may grow with the tables (S39), or be more than a frame
// is worth. Work is counted in loads from memory (loads.hpp). Built without that (fuzz_replay_work) nothing is counted;
// there frame_work counts instructions under callgrind.
#include <cstdint>
#include <cstdio>
#include <memory>

#include "../nnved/rig.hpp"
#include "loads.hpp"

namespace {

using namespace splitnve;
using namespace splitnve::nnved;
using namespace splitnve::nnved::test;

constexpr unsigned kFew = 20, kMany = 1000, kManyToConfirm = 600;
constexpr unsigned kOwn = 16;  // TSIs of the station that is known

/// Beside many it may take half as many again, and these: a tree of a thousand is a few steps deeper than one of
/// twenty.
constexpr std::uint64_t kSlack = 4000;
constexpr std::uint64_t kLoadsMax = 1'000'000;
/// Inputs leave peers and TSIs behind; after so many both begin anew.
constexpr unsigned kInputsPerLife = 128;

/// An nnved whose port 2 has the TSIs of eight stations. The fuzzer's stations are at port 1.
struct Crowd {
  explicit Crowd(unsigned tsis) : rig(make_config(2)) {
    for (unsigned n = 1; n <= kOwn; ++n) rig.send(rig.station(1), {associate_of(n, 70001)});
    for (unsigned n = 0; n < tsis; ++n) rig.send(rig.station(2 + n % 8, 2), {associate_of(1000 + n, 70001 + n % 2)});
    take(rig.station(1), vdpdu({associate_of(1, 70001)}));  // what the filling left to do is done
  }
  static Tlv associate_of(unsigned number, std::uint32_t vn) {
    return {vdp::TlvType::kAssociate, vsi(number), {entry(vn, mac(number))}};
  }
  std::uint64_t take(Station& from, Octets payload) {
    const std::uint64_t before = fuzz::loads;
    rig.send_octets(from, payload);
    rig.run();
    return fuzz::loads - before;
  }
  std::uint64_t known(Octets payload) { return take(rig.station(1), payload); }
  std::uint64_t stranger(Octets payload) { return take(rig.station(100 + strangers++), payload); }

  Rig rig;
  unsigned strangers = 0;
};

bool grows(const char* who, std::uint64_t few, std::uint64_t many) {
  if (few <= kLoadsMax && many <= kLoadsMax && many <= kSlack + few + few / 2) return false;
  std::fprintf(stderr, "%s: %llu loads beside few TSIs, %llu beside many\n", who, static_cast<unsigned long long>(few),
               static_cast<unsigned long long>(many));
  return true;
}
bool grows(Crowd& few, Crowd& many, Octets payload) {
  const bool known = grows("known", few.known(payload), many.known(payload));
  return grows("stranger", few.stranger(payload), many.stranger(payload)) || known;
}
/// The same in two new pairs: a table that happened to grow at this frame does so in one of them at most.
bool grows_always(Octets payload) {
  for (const unsigned tsis : {kMany, kManyToConfirm}) {
    Crowd few(kFew), many(tsis);
    if (!grows(few, many, payload)) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static std::unique_ptr<Crowd> few, many;
  static unsigned inputs = 0;
  if (size > limits::kVdpduOctetsMax) return 0;
  if (inputs++ % kInputsPerLife == 0) {
    few = std::make_unique<Crowd>(kFew);
    many = std::make_unique<Crowd>(kMany);
  }
  const Octets payload(data, size);
  if (grows(*few, *many, payload)) ensure(!grows_always(payload), "the work of a frame does not grow with the tables");
  return 0;
}
