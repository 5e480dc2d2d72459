// SPDX-License-Identifier: Apache-2.0
#include "splitnve/vdp/standing_queue.hpp"

namespace splitnve::vdp {

void StandingQueue::set_peer(Flags peer) {
  peer_ = peer;
  if (able()) return;
  waiting_.clear();
  sent_.clear();
}

void StandingQueue::tell(const Standing& standing) {
  if (!able() || (!waiting_.empty() && waiting_.back() == standing)) return;
  if (waiting_.size() >= limits::kStandingsMax) {
    waiting_.clear();
    waiting_.push_back({Standing::What::kReleased, Standing::Scope::kAll, {}, {}});
    return;
  }
  waiting_.push_back(standing);
}

void StandingQueue::tell_list(const std::vector<Standing>& held) {
  waiting_.clear();
  sent_.clear();
  for (const Standing& one : held) tell(one);
  tell({Standing::What::kEndOfList, Standing::Scope::kAll, {}, {}});
}

void StandingQueue::write(VdpduWriter& writer) {
  handle_delivery_failed();  // an outcome that was never told
  for (; !waiting_.empty(); waiting_.pop_front()) {
    if (!write_extension(writer, waiting_.front())) return;
    sent_.push_back(waiting_.front());
  }
}

void StandingQueue::handle_delivery_failed() {
  waiting_.insert(waiting_.begin(), sent_.begin(), sent_.end());
  sent_.clear();
}

}  // namespace splitnve::vdp
