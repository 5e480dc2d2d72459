// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <boost/container/static_vector.hpp>
#include <optional>

#include "splitnve/vdp/extensions.hpp"

namespace splitnve::vdp {

/// VNs that one answer may tell of; a TLV of more is told of the first.
inline constexpr std::size_t kAttributesPerStatementMax = 8;

/// A TLV with what our TLVs behind it say of it, as far as it is an association or a VN request.
struct Statement {
  Tlv tlv;
  std::optional<Migration> migration;
  std::optional<VnName> name;
  std::optional<ReasonText> reason;  ///< views the VDPDU
  boost::container::static_vector<VnAttributes, kAttributesPerStatementMax> attributes;
};

/// Walks a VDPDU that survey() has found whole. What our OUI's TLVs say of the association or VN request before them
/// goes with it; malformed ones, and those without one before them, count as absent.
class StatementReader {
 public:
  explicit StatementReader(Octets vdpdu);
  const ManagerId& manager() const { return manager_; }
  std::optional<Statement> next();
  /// TLVs so far that said something of an association and could not be used.
  std::size_t unusable() const { return unusable_; }

 private:
  VdpduReader reader_;
  ManagerId manager_;
  std::optional<Tlv> ahead_;
  std::size_t unusable_ = 0;
};

}  // namespace splitnve::vdp
