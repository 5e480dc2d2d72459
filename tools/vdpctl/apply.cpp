// SPDX-License-Identifier: Apache-2.0
#include "apply.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <thread>

#include "splitnve/host/control.hpp"

namespace splitnve::vdpctl {
namespace {

using nlohmann::json;

/// What the connections share: the next chunk, and what came of those before.
class Work {
 public:
  Work(const std::string& socket, const std::vector<json>& chunks, Duration silence_max)
      : socket_(socket), chunks_(chunks), silence_max_(silence_max) {}

  void serve() {
    const auto client = host::ControlClient::connect(socket_, silence_max_);
    if (!client) return fail(client.error());
    for (std::size_t n = next_++; n < chunks_.size() && !failed_; n = next_++) {
      const auto result = (*client)->call("tsi.apply", chunks_[n], {}, silence_max_);
      if (!result) return fail(result.error());
      add(*result);
    }
  }
  Result<ApplyVerdict> verdict() const {
    if (error_) return unexpected<Error>(*error_);
    return verdict_;
  }

 private:
  void add(const json& result) {
    const std::lock_guard lock(mutex_);
    verdict_.accepted += result.value("accepted", std::size_t{0});
    const auto refused = result.find("refused");
    if (refused == result.end()) return;
    for (const json& refusal : *refused) verdict_.refused.push_back(refusal);
  }
  void fail(const Error& error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = error;
    failed_ = true;
  }

  const std::string& socket_;
  const std::vector<json>& chunks_;
  Duration silence_max_;
  std::atomic<std::size_t> next_ = 0;
  std::atomic<bool> failed_ = false;
  std::mutex mutex_;
  std::optional<Error> error_;
  ApplyVerdict verdict_;
};

}  // namespace

std::vector<json> chunks_of(const json& tsis) {
  std::vector<json> chunks;
  std::size_t octets = 0;
  for (const json& tsi : tsis) {
    const std::size_t more = tsi.dump(-1, ' ', false, json::error_handler_t::replace).size() + 1;
    if (chunks.empty() || chunks.back()["tsis"].size() == kChunkTsisMax || octets + more > kChunkOctetsMax) {
      chunks.push_back({{"tsis", json::array()}});
      octets = 0;
    }
    chunks.back()["tsis"].push_back(tsi);
    octets += more;
  }
  return chunks;
}

Result<ApplyVerdict> apply_all(const std::string& socket, const std::vector<json>& chunks, Duration silence_max) {
  Work work(socket, chunks, silence_max);
  std::vector<std::thread> others;
  for (std::size_t n = 1; n < std::min(kApplyConnections, chunks.size()); ++n)
    others.emplace_back([&work] { work.serve(); });
  work.serve();
  for (std::thread& other : others) other.join();
  return work.verdict();
}

}  // namespace splitnve::vdpctl
