// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>

#include "splitnve/base/time.hpp"

namespace splitnve::vdp {

/// The operational exponents of a link (EVB TLV) and the VDP timers that follow from them (wire.md section 3).
struct Timing {
  unsigned retries_max = 3;              ///< R
  unsigned retransmission_exponent = 8;  ///< RTE
  unsigned resource_wait_exponent = 20;  ///< RWD
  unsigned keepalive_exponent = 20;      ///< RKA

  static Duration units(unsigned exponent) { return std::chrono::microseconds(10) * (1LL << exponent); }
  /// Station: how long an answer may take after the ECPDU was first sent: 1.5 x [(1+2R) 2^RTE + 2^RWD].
  Duration response_wait() const {
    return (units(retransmission_exponent) * (1 + 2 * static_cast<int>(retries_max)) + units(resource_wait_exponent)) *
           3 / 2;
  }
  /// Station: how often a settled association is repeated: 2^RKA.
  Duration keepalive_interval() const { return units(keepalive_exponent); }
  /// Station: how long the answer to a keep-alive may take before it is repeated: the bridge needs no resources for it,
  /// and an answer that was lost with the bridge's process must not cost the association its lease there.
  Duration renewal_wait() const { return std::min(response_wait(), keepalive_interval() / 8); }
  /// Bridge: how long an entry lives without being renewed: 1.5 x [(1+2R) 2^RTE + 2^RKA].
  Duration keepalive_timeout() const {
    return (units(retransmission_exponent) * (1 + 2 * static_cast<int>(retries_max)) + units(keepalive_exponent)) * 3 /
           2;
  }
};

}  // namespace splitnve::vdp
