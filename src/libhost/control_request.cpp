// SPDX-License-Identifier: Apache-2.0
#include "control_request.hpp"

#include <utility>

#include "bounded_json.hpp"

namespace splitnve::host {

using nlohmann::json;

Result<ControlRequest, const char*> parse_request(std::string_view line) {
  const auto malformed = [](const char* what) { return unexpected<const char*>(what); };
  if (nests_too_deep(line)) return malformed("the line nests too deep");
  json request = json::parse(line, nullptr, false);
  if (request.is_discarded()) return malformed("the line is not JSON");
  if (!request.is_object()) return malformed("the line is not a JSON object");
  const auto id = request.find("id");
  if (id == request.end() || !id->is_number_integer()) return malformed("the request has no integer \"id\"");
  const auto verb = request.find("verb");
  if (verb == request.end() || !verb->is_string()) return malformed("the request has no \"verb\"");
  const auto args = request.find("args");
  if (args != request.end() && !args->is_object()) return malformed("\"args\" is not an object");
  return ControlRequest{std::move(*id), std::move(verb->get_ref<std::string&>()),
                        args == request.end() ? json::object() : std::move(*args), nullptr};
}

}  // namespace splitnve::host
