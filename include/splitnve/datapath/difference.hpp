// SPDX-License-Identifier: Apache-2.0
// Two sets of rows compared: what `audit`, the start-up log and the simulation say of a datapath.
#pragma once
#include <string>
#include <vector>

#include "splitnve/datapath/rows.hpp"

namespace splitnve {

/// How what is there differs from what is wanted, for a datapath, an authority or a store alike.
struct Difference {
  enum class Kind : std::uint8_t {
    kMissing,  ///< wanted, not there
    kStale,    ///< there, wanted by nobody
    kDiffers,  ///< there with another value
    kMended,   ///< was lost, and made right since the last comparison
  };
  Kind kind = Kind::kMissing;
  std::string row;  ///< the row's table and key, for people
};
const char* to_string(Difference::Kind kind);

namespace datapath {

/// What must change in `have` to make it `want`; the order of flood members and of rows says nothing. Rows that say
/// "absent" are wanted absent. Ports are compared by name and role.
std::vector<Difference> differences(const Rows& want, const Rows& have);

}  // namespace datapath
}  // namespace splitnve
