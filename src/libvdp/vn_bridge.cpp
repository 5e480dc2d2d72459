// SPDX-License-Identifier: Apache-2.0
#include "splitnve/vdp/vn_bridge.hpp"

#include "splitnve/base/limits.hpp"

namespace splitnve::vdp {

void VnBridge::set_peer(Flags peer) {
  peer_ = peer;
  if (able()) return;
  answers_.clear();
  commands_.clear();
  sent_answers_.clear();
  sent_commands_.clear();
}

void VnBridge::handle(const VnRequest& request, const std::optional<VnName>& name) {
  if (request.is_response()) {
    ++(able() ? stats_.commands_answered : stats_.unused);
  } else if (asked_.size() + answers_.size() >= limits::kVnConnectsPerStationMax) {
    ++stats_.overflow;
  } else {
    asked_.push_back({request, name});
  }
}

std::optional<VnBridge::Asked> VnBridge::poll_request() {
  if (!able()) {
    stats_.unused += asked_.size();
    asked_.clear();
  }
  if (asked_.empty()) return std::nullopt;
  Asked asked = asked_.front();
  asked_.pop_front();
  ++stats_.requests;
  if (!offered_.has(Flag::kVnName) || !peer_.has(Flag::kVnName)) asked.name.reset();
  return asked;
}

VnBridge::Said VnBridge::said(const VnRequest& request, ReasonText why) const {
  if (!peer_.has(Flag::kReasonText)) return {request, 0, "", {}};
  return {request, why.cause, cut_reason_text(why.text), {}};
}

void VnBridge::respond(const VnRequest& response, ReasonText why, const std::optional<VnName>& name) {
  if (!able()) return;
  if (!ResponseStatus::from_octet(response.status).success()) ++stats_.refused;
  answers_.push_back(said(response, why));
  answers_.back().name = name;
}

void VnBridge::command(GroupId vn, VnRequest::Operation operation, ReasonText why) {
  if (!able()) return;
  ++stats_.commands;
  VnRequest request;
  request.operation = operation;
  request.group = vn;
  commands_[vn] = said(request, why);
}

bool VnBridge::write_one(VdpduWriter& writer, const Said& said) const {
  const ReasonText why{said.cause, said.why};
  std::size_t octets = extension_octets(said.request) + (said.why.empty() ? 0 : extension_octets(why));
  if (said.name) octets += extension_octets(*said.name);
  if (!writer.has_room(octets)) return false;
  write_extension(writer, said.request);
  if (said.name) write_extension(writer, *said.name);
  if (!said.why.empty()) write_extension(writer, why);
  return true;
}

bool VnBridge::write(VdpduWriter& writer) {
  handle_delivery_failed();
  for (; !answers_.empty(); answers_.pop_front()) {
    if (!write_one(writer, answers_.front())) return !sent_answers_.empty();
    sent_answers_.push_back(std::move(answers_.front()));
  }
  for (auto next = commands_.begin(); next != commands_.end(); next = commands_.erase(next)) {
    if (!write_one(writer, next->second)) break;
    sent_commands_.push_back(std::move(next->second));
  }
  return !sent_answers_.empty() || !sent_commands_.empty();
}

void VnBridge::handle_delivered() {
  sent_answers_.clear();
  sent_commands_.clear();
}

void VnBridge::handle_delivery_failed() {
  for (auto said = sent_answers_.rbegin(); said != sent_answers_.rend(); ++said) answers_.push_front(std::move(*said));
  for (Said& said : sent_commands_) commands_.try_emplace(said.request.group, std::move(said));
  handle_delivered();
}

}  // namespace splitnve::vdp
