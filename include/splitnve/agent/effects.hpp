// SPDX-License-Identifier: Apache-2.0
// What an agent hands to the edge, and what comes back. Effects are drained with `poll_effect()` after every entry
// point and are executed in order; `Program`, `Persist` and `Publish` are answered later by `handle_result()`.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "splitnve/base/bytes.hpp"
#include "splitnve/base/ids.hpp"
#include "splitnve/datapath/rows.hpp"

namespace splitnve::agent {

/// Send one complete Ethernet frame (padded, without FCS) out of a port.
struct Transmit {
  PortId port;
  OctetString frame;
};

/// Bring the datapath to these rows.
struct Program {
  BatchId batch;
  datapath::Rows rows;
};

/// One record of the state store: a compact octet string under an integer key (see StoreKey); empty value erases it.
struct StoreRecord {
  std::uint64_t key = 0;
  OctetString value;
};
/// Kinds of stored records share one key space: kind in the top octet.
enum class RecordKind : std::uint8_t {
  kMeta = 0,
  kTsi = 1,
  kLatch = 2,
  kVn = 3,
  kSigner = 4,
  kHeldTsi = 5,
  kHeldVn = 6
};
constexpr std::uint64_t store_key(RecordKind kind, std::uint64_t id) {
  return (static_cast<std::uint64_t>(kind) << 56) | id;
}
constexpr RecordKind record_kind(std::uint64_t key) { return static_cast<RecordKind>(key >> 56); }
constexpr std::uint64_t record_id(std::uint64_t key) { return key & ((std::uint64_t{1} << 56) - 1); }
/// For operators: `tsi 12`.
std::string record_name(std::uint64_t key);
/// The epoch of this agent's state, which peers are shown (S9): the only record of kind kMeta; never 0.
inline StoreRecord encode_epoch(std::uint64_t epoch) {
  StoreRecord record{store_key(RecordKind::kMeta, 1), OctetString(sizeof epoch)};
  BoundedWriter(record.value).u64(epoch);
  return record;
}
/// `nullopt` if the record is another, or none that was written so.
inline std::optional<std::uint64_t> decode_epoch(const StoreRecord& record) {
  std::uint64_t epoch = 0;
  BoundedReader reader(record.value);
  if (record.key != store_key(RecordKind::kMeta, 1) || !reader.u64(epoch) || !reader.empty() || epoch == 0)
    return std::nullopt;
  return epoch;
}

/// Commit these records in one transaction (S32).
struct Persist {
  BatchId batch;
  std::vector<StoreRecord> records;
};

/// One row of the network virtualization authority: who owns an address of a VN (S27).
struct AuthorityRow {
  GroupId vn;
  MacAddress mac;
  VsiId vsi;
  std::uint32_t generation = 0;  ///< rises with every takeover
  bool mapped = false;           ///< in the mapping table: reserved or active (C4); false removes the row
  bool forwarding = false;       ///< in the forwarding table: Activated (C5)
};
/// The tag that a port uses for a VN (B10).
struct AuthorityTag {
  GroupId vn;
  PortId port;
  Vid vid;
  bool present = true;
};
/// Tell the authority; the answer decides (A5, S27). nnved only.
struct Publish {
  BatchId batch;
  std::vector<AuthorityRow> rows;
  std::vector<AuthorityTag> tags;
};

/// A TSI at the nNVE.
struct TsiSubject {
  VsiId vsi;
  GroupId vn;
  std::string port;
  MacAddress station;
};
/// What a transition is about. It is put into words only for those who read them: of a switch-over of 100,000 TSIs the
/// log tells a thousand (S33).
using Subject = std::variant<std::string, VsiId, TsiSubject>;
inline std::string to_string(const Subject& subject) {
  if (const auto* vsi = std::get_if<VsiId>(&subject)) return vsi->to_string();
  if (const auto* tsi = std::get_if<TsiSubject>(&subject))
    return "vsi " + tsi->vsi.to_string() + " vn " + std::to_string(tsi->vn.value()) + " port " + tsi->port +
           " station " + tsi->station.to_string();
  return std::get<std::string>(subject);
}

/// One state transition, for log, audit and metrics (F5): exactly one per transition.
struct Transition {
  const char* machine = "";  ///< "tsi", "vap", "peer", "port", "vm"
  Subject subject;
  const char* from = "";
  const char* to = "";
  std::string reason;
};

/// Something an operator should read that is no transition; `id` stands in docs/messages.md.
struct Notice {
  enum class Level : std::uint8_t { kInfo, kWarning, kError };
  const char* id = "";
  Level level = Level::kInfo;
  std::string text;
};

/// The verdict for someone who asked over the control socket (`asker` is the edge's own handle).
struct Answer {
  std::uint64_t asker = 0;
  bool ok = false;
  std::string reason;
};

using Effect = std::variant<Transmit, Program, Persist, Publish, Transition, Notice, Answer>;

/// What an agent wants done and has not handed out yet, in order. Its memory is kept for the next effects.
class EffectQueue {
 public:
  template <class E>
  void push_back(E&& effect) {
    effects_.emplace_back(std::forward<E>(effect));
  }
  /// The next one; nothing when all are handed out.
  std::optional<Effect> poll() {
    if (next_ < effects_.size()) return std::move(effects_[next_++]);
    next_ = 0;
    effects_.clear();
    if (effects_.capacity() > kKeptMax) effects_.shrink_to_fit();
    return std::nullopt;
  }

 private:
  static constexpr std::size_t kKeptMax = 4096;
  std::vector<Effect> effects_;
  std::size_t next_ = 0;
};

/// How a batch went. `failures` may be non-empty only for a Program; `error` says why a whole batch failed.
struct BatchResult {
  BatchId batch;
  std::vector<datapath::Failure> failures;
  std::string error;  ///< empty: the batch was carried out (but for `failures`)
  bool ok() const { return error.empty() && failures.empty(); }
};

}  // namespace splitnve::agent
