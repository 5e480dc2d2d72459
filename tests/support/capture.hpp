// SPDX-License-Identifier: Apache-2.0
// Captured frames for tests. Users link libpcap: target_link_libraries(TEST PRIVATE pcap).
#pragma once
#include <pcap/pcap.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "splitnve/base/bytes.hpp"

namespace splitnve::test {

/// The Ethernet frames of one capture file, in order. Throws std::runtime_error on a file that is missing, damaged or
/// not of Ethernet, and on a frame cut short by its capture, so that no test passes on half its data.
inline std::vector<OctetString> read_capture(const std::filesystem::path& file) {
  char cause[PCAP_ERRBUF_SIZE] = {};
  const std::unique_ptr<pcap_t, decltype(&pcap_close)> capture(pcap_open_offline(file.c_str(), cause), &pcap_close);
  if (!capture) throw std::runtime_error(file.string() + ": " + cause);
  if (pcap_datalink(capture.get()) != DLT_EN10MB) throw std::runtime_error(file.string() + ": not Ethernet");
  std::vector<OctetString> frames;
  pcap_pkthdr* header = nullptr;
  const u_char* octets = nullptr;
  int status = 0;
  while ((status = pcap_next_ex(capture.get(), &header, &octets)) == 1) {
    if (header->caplen != header->len) throw std::runtime_error(file.string() + ": a frame is cut short");
    frames.emplace_back(octets, octets + header->caplen);
  }
  if (status != PCAP_ERROR_BREAK) throw std::runtime_error(file.string() + ": " + pcap_geterr(capture.get()));
  return frames;
}

/// A capture by its name in tests/data/captures, without the extension: `read_named_capture("01-assoc-vid")`.
inline std::vector<OctetString> read_named_capture(const std::string& name) {
  return read_capture(std::filesystem::path(TEST_DATA) / "captures" / (name + ".pcap"));
}

/// All capture files of tests/data/captures, sorted by name.
inline std::vector<std::filesystem::path> capture_files() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(TEST_DATA) / "captures"))
    if (entry.path().extension() == ".pcap") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

/// Does this untagged Ethernet frame carry this EtherType?
inline bool has_ether_type(const OctetString& frame, std::uint16_t ether_type) {
  return frame.size() >= 14 && ((frame[12] << 8) | frame[13]) == ether_type;
}

}  // namespace splitnve::test
