// SPDX-License-Identifier: Apache-2.0
// A VDPDU from anybody: walked, decoded, and if it was legal, written and read again without a change.
#include <cstddef>
#include <cstdint>

#include "../libvdp/codec_support.hpp"
#include "splitnve/vdp/codec.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace splitnve;
  const Octets octets(data, size);
  const auto read = vdp::test::read_vdpdu(octets);
  if (!read) {
    ensure(read.error().offset <= size, "an error lies inside the octets");
    return 0;
  }
  const OctetString written = vdp::test::write_vdpdu(*read);
  const auto again = vdp::test::read_vdpdu(written);
  ensure(again.has_value(), "what we write can be read");
  ensure(*again == *read, "what we write reads as what was read");
  ensure(vdp::test::write_vdpdu(*again) == written, "writing is a function of what was read");
  return 0;
}
