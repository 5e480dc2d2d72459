// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <string_view>
#include <variant>

#include "nnved/changes.hpp"
#include "nnved/reason.hpp"
#include "nnved/shares.hpp"

namespace splitnve::nnved {

/// What a case of a refusal is about. It is put into words only where somebody reads them: a port that is refused all
/// the time costs no text.
namespace about {

/// Somebody else has the address: a TSI here, a VSI wherever it is, or, with neither, another nNVE by configuration.
struct Holder {
  explicit Holder(const AddressName& name_) : name(name_) {}
  Holder(const AddressName& name_, Index tsi_) : name(name_), tsi(tsi_) {}
  Holder(const AddressName& name_, const VsiId& vsi_) : name(name_), vsi(&vsi_) {}
  AddressName name;
  Index tsi = kNoIndex;
  const VsiId* vsi = nullptr;
};
/// The port has its share of this table.
struct Share {
  explicit Share(const Shares& of_, const char* what_) : of(&of_), what(what_) {}
  const Shares* of;
  const char* what;
};
/// As many as there may be.
struct Most {
  explicit Most(std::size_t count_, const char* of_ = "") : count(count_), of(of_) {}
  std::size_t count;
  const char* of;
};
struct Ip {
  explicit Ip(const IpPrefix& ip_) : ip(ip_) {}
  IpPrefix ip;
};
struct VidsOfPort {};
struct TimersOfStation {};

/// A text is one that stands somewhere already, for as long as the refusal is looked at.
using Case = std::variant<std::string_view, Holder, Share, Most, Ip, VidsOfPort, TimersOfStation>;

}  // namespace about

/// Why a request cannot be granted.
struct Refused {
  Reason reason = Reason::kNone;
  GroupId vn;
  about::Case about{};
};

}  // namespace splitnve::nnved
