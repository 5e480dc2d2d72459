// SPDX-License-Identifier: Apache-2.0
#include "splitnve/vdp/statement.hpp"

namespace splitnve::vdp {
namespace {

bool annotates(const Tlv& tlv) {
  const auto type = extension_type(tlv);
  return type == ExtensionType::kMigration || type == ExtensionType::kVnName || type == ExtensionType::kReason ||
         type == ExtensionType::kVnAttributes;
}

/// False if it cannot be read; the first of a kind counts.
bool annotate(Statement& statement, const Tlv& tlv) {
  const auto read = decode_extension(tlv);
  if (!read || !*read) return false;
  const auto keep = [](auto& place, const auto* value) {
    if (value != nullptr && !place) place = *value;
  };
  keep(statement.migration, std::get_if<Migration>(&**read));
  keep(statement.name, std::get_if<VnName>(&**read));
  keep(statement.reason, std::get_if<ReasonText>(&**read));
  const auto* attributes = std::get_if<VnAttributes>(&**read);
  if (attributes != nullptr && statement.attributes.size() < kAttributesPerStatementMax)
    statement.attributes.push_back(*attributes);
  return true;
}

}  // namespace

StatementReader::StatementReader(Octets vdpdu)
    : reader_(vdpdu), manager_(*reader_.manager()), ahead_(*reader_.next()) {}

std::optional<Statement> StatementReader::next() {
  while (ahead_ && annotates(*ahead_)) {
    ++unusable_;
    ahead_ = *reader_.next();
  }
  if (!ahead_) return std::nullopt;
  Statement statement{*ahead_, {}, {}, {}, {}};
  const bool subject =
      is_association(static_cast<TlvType>(ahead_->type)) || extension_type(*ahead_) == ExtensionType::kVnRequest;
  ahead_ = *reader_.next();
  for (; subject && ahead_ && annotates(*ahead_); ahead_ = *reader_.next())
    if (!annotate(statement, *ahead_)) ++unusable_;
  return statement;
}

}  // namespace splitnve::vdp
