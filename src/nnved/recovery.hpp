// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <boost/unordered/unordered_flat_map.hpp>
#include <optional>

#include "nnved/changes.hpp"

namespace splitnve::nnved {

/// What a lost store left in the datapath (S13), kept until every station had the time to speak: a TSI that comes back
/// gets the number that guard and owner entries name, so that writing them again changes nothing.
struct Recovery {
  std::optional<Instant> ends;
  boost::unordered_flat_map<AddressKey, Index> numbers;
  Index first_unused = 0;  ///< above every number found
};

}  // namespace splitnve::nnved
