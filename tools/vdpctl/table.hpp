// SPDX-License-Identifier: Apache-2.0
// Rows of the control socket as a table for people: pure, so that a test can look at it.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace splitnve::vdpctl {

/// A column: its heading, and the key of the row's member that fills it.
struct Column {
  const char* heading;
  const char* key;
};

/// The columns known for a verb such as `tsi.show`; empty: take them from the rows.
const std::vector<Column>& columns_of(std::string_view verb);

/// One cell. Null, absent and empty are `-`, booleans yes or no, arrays their elements joined by a comma; an address is
/// `mac` with `*` behind an active one.
std::string cell(const nlohmann::json& value);

/// The table with its heading; columns are as wide as their content. Columns that no row fills are left out, members
/// that no column names are not shown. No rows: a line that says so.
std::string table(std::string_view verb, const std::vector<nlohmann::json>& rows);

}  // namespace splitnve::vdpctl
