// SPDX-License-Identifier: Apache-2.0
// A VDPDU from anybody: walked, decoded, and if it was legal, written and read again without a change.
#include <cstddef>
#include <cstdint>

#include "../libvdp/codec_support.hpp"
#include "splitnve/vdp/codec.hpp"
#include "splitnve/vdp/extensions.hpp"

namespace {

using namespace splitnve;

/// Our own TLVs: refused inside their octets, or written and read again without a change.
void check_extension(const vdp::test::RawTlv& raw) {
  const auto read = vdp::decode_extension({raw.type, raw.value, 0});
  if (!read) ensure(read.error().offset <= raw.value.size(), "an error lies inside the value");
  if (!read || !*read) return;
  OctetString buffer(limits::kVdpduOctetsMax);
  vdp::VdpduWriter writer(buffer, ManagerId{});
  ensure(vdp::write_extension(writer, **read), "one extension always fits");
  vdp::VdpduReader reader(writer.finish());
  ensure(reader.manager().has_value(), "the writer puts the manager first");
  const auto tlv = reader.next();
  ensure(tlv.has_value() && tlv->has_value(), "the extension is there");
  const auto again = vdp::decode_extension(**tlv);
  ensure(again.has_value() && *again == *read, "an extension reads as it was written");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Octets octets(data, size);
  const auto read = vdp::test::read_vdpdu(octets);
  if (!read) {
    ensure(read.error().offset <= size, "an error lies inside the octets");
    return 0;
  }
  for (const auto& tlv : read->tlvs)
    if (const auto* raw = std::get_if<vdp::test::RawTlv>(&tlv)) check_extension(*raw);
  const OctetString written = vdp::test::write_vdpdu(*read);
  const auto again = vdp::test::read_vdpdu(written);
  ensure(again.has_value(), "what we write can be read");
  ensure(*again == *read, "what we write reads as what was read");
  ensure(vdp::test::write_vdpdu(*again) == written, "writing is a function of what was read");
  return 0;
}
