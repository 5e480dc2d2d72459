// SPDX-License-Identifier: Apache-2.0
// frame_work TSIS FOLDER...: an nnved whose tables hold so many TSIs of others takes every file of the folders as the
// VDPDU of a frame, from a station that it knows and from strangers. Under callgrind each frame is a dump of its own,
// named by file and sender (frame_work.sh compares them: the work of a frame does not grow with the tables, S39).
#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else  // package valgrind: without it nothing can be counted, but it builds
#define CALLGRIND_ZERO_STATS
#define CALLGRIND_DUMP_STATS_AT(name)
#endif

#include "../nnved/rig.hpp"

namespace {

using namespace splitnve;
using namespace splitnve::nnved;
using namespace splitnve::nnved::test;

Tlv associate_of(unsigned number, std::uint32_t vn) {
  return {vdp::TlvType::kAssociate, vsi(number), {entry(vn, mac(number))}};
}

/// Frames of files sorted by name, so that two runs take the same ones in the same order.
std::vector<std::filesystem::path> files_of(int argc, char** argv) {
  std::vector<std::filesystem::path> files;
  for (int i = 2; i < argc; ++i)
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

void measure(Rig& rig, Station& from, Octets payload, const std::string& name) {
  // What the rig keeps of the filling: the list that grows would move it all, which is no work of the agent's.
  rig.programs.clear();
  rig.persists.clear();
  rig.publishes.clear();
  rig.transitions.clear();
  rig.notices.clear();
  malloc_trim(0);  // nor is what the allocator does about memory that was freed before
  CALLGRIND_ZERO_STATS;
  rig.send_octets(from, payload);
  rig.run();
  CALLGRIND_DUMP_STATS_AT(name.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  const auto tsis = static_cast<unsigned>(argc > 2 ? std::strtoul(argv[1], nullptr, 10) : 0);
  if (tsis == 0) return 2;
  Rig rig(make_config(2));
  constexpr unsigned kOwn = 16;  // TSIs of the station that speaks
  rig.send(rig.station(1), {associate_of(1, 70001)});
  for (unsigned n = 2; n <= kOwn; ++n) rig.send(rig.station(1), {associate_of(n, 70001)});
  for (unsigned n = 0; n < tsis; ++n) rig.send(rig.station(2 + n % 8, 2), {associate_of(1000 + n, 70001 + n % 2)});
  std::printf("tsis %zu\n", rig.tsis());
  unsigned stranger = 100;
  for (const auto& file : files_of(argc, argv)) {
    std::ifstream stream(file, std::ios::binary);
    OctetString payload((std::istreambuf_iterator<char>(stream)), {});
    if (payload.size() > limits::kVdpduOctetsMax) continue;
    measure(rig, rig.station(1), payload, file.filename().string() + "/known");
    measure(rig, rig.station(stranger++, 1), payload, file.filename().string() + "/stranger");
  }
  return rig.tsis() > tsis / 2 ? 0 : 1;
}
