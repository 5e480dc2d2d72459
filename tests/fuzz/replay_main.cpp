// SPDX-License-Identifier: Apache-2.0
// Runs every file of the given corpus, and of the crashes that were found before, through one fuzz target without
// libFuzzer: replay CORPUS [CRASHES]. The corpus must hold something; the folder of crashes may be missing.
// Or as many random inputs: replay --random COUNT --seed SEED; the last line printed names the one that ends it.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr std::size_t kRandomOctetsMax = 1024;

std::size_t replay(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    std::printf("%s\n", file.c_str());
    std::fflush(stdout);  // the last line names the file that ends the process
    std::ifstream in(file, std::ios::binary);
    const std::vector<char> text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    // Exactly as many octets as the file has, so that the sanitizer sees a read past them.
    const std::vector<std::uint8_t> octets(text.begin(), text.end());
    LLVMFuzzerTestOneInput(octets.data(), octets.size());
  }
  return files.size();
}

/// Each input has a generator of its own, so that one of them can be repeated alone.
void replay_random(unsigned long count, unsigned long seed) {
  for (unsigned long i = 0; i < count; ++i) {
    std::printf("--random 1 --seed %lu\n", seed + i);
    std::fflush(stdout);
    std::mt19937_64 random(seed + i);
    std::vector<std::uint8_t> octets(kRandomOctetsMax / 4 + random() % kRandomOctetsMax);
    for (auto& octet : octets) octet = static_cast<std::uint8_t>(random());
    LLVMFuzzerTestOneInput(octets.data(), octets.size());
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 5 && std::string_view(argv[1]) == "--random" && std::string_view(argv[3]) == "--seed") {
    replay_random(std::strtoul(argv[2], nullptr, 10), std::strtoul(argv[4], nullptr, 10));
    return 0;
  }
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s CORPUS [CRASHES] | --random COUNT --seed SEED\n", argv[0]);
    return 2;
  }
  if (!std::filesystem::is_directory(argv[1]) || replay(argv[1]) == 0) {
    std::fprintf(stderr, "%s: no corpus\n", argv[1]);
    return 1;
  }
  if (argc > 2 && std::filesystem::is_directory(argv[2])) replay(argv[2]);
  return 0;
}
