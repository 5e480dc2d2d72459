// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/json_text.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace splitnve::host {

using nlohmann::json;

JsonText& JsonText::value(std::string_view text) {
  const bool plain =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
  if (!plain) return tree(json(text));
  before_value();
  out_ += '"';
  out_ += text;
  out_ += '"';
  comma_ = true;
  return *this;
}

JsonText& JsonText::tree(const json& value) { return bare(value.dump(-1, ' ', false, json::error_handler_t::replace)); }

}  // namespace splitnve::host
