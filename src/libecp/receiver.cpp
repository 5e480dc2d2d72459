// SPDX-License-Identifier: Apache-2.0
#include <bit>
#include <cstring>

#include "splitnve/ecp/session.hpp"

namespace splitnve::ecp {
namespace {

// Odd constants with balanced bits: multiplication by them is a bijection that carries low bits upwards.
constexpr std::uint64_t kMultiplierA = 0x9E3779B97F4A7C15;
constexpr std::uint64_t kMultiplierB = 0xC2B2AE3D27D4EB4F;

// Further behind, a sequence is that of a peer which has begun anew (S11).
constexpr std::uint16_t kStaleBehindMax = 15;

std::uint64_t mix(std::uint64_t digest, std::uint64_t word) {
  return std::rotl(digest ^ (std::rotl(word * kMultiplierA, 31) * kMultiplierB), 27) * kMultiplierA + kMultiplierB;
}

// Octets in the host's order: a digest never leaves the process.
std::uint64_t load_word(Octets octets) {
  std::uint64_t word = 0;
  std::memcpy(&word, octets.data(), octets.size());
  return word;
}

// Tells accidental repeats from new content, 8 octets a step. Every step is a bijection of the digest and of the word,
// so two payloads that differ in one word never collide; it is no defence against a forger, who could only make his own
// ECPDU be ignored.
std::uint64_t digest_of(Octets payload) {
  std::uint64_t digest = mix(kMultiplierB, payload.size());
  while (payload.size() >= sizeof(std::uint64_t)) {
    digest = mix(digest, load_word(payload.first(sizeof(std::uint64_t))));
    payload = payload.subspan(sizeof(std::uint64_t));
  }
  if (!payload.empty()) digest = mix(digest, load_word(payload));
  digest ^= digest >> 29;
  digest *= kMultiplierB;
  return digest ^ (digest >> 32);
}

}  // namespace

// The window counts from the acceptance and repeats do not extend it: a peer that really restarted is heard at its end.
Receiver::Verdict Receiver::classify(EcpSequence sequence, Octets payload, Instant now, Duration window) {
  if (remembers(sequence, payload, now, window)) {
    ++stats_.duplicates;
    return Verdict::kDuplicate;
  }
  if (!is_stale(sequence, now, window)) return Verdict::kNew;
  ++stats_.stale;
  return Verdict::kStale;
}

bool Receiver::remembers(EcpSequence sequence, Octets payload, Instant now, Duration window) const {
  std::optional<std::uint64_t> digest;  // computed only where a sequence matches: most ECPDUs are new
  for (const Remembered& seen : memory_) {
    if (!seen.valid || seen.sequence != sequence || now - seen.at > window) continue;
    if (!digest) digest = digest_of(payload);
    if (seen.digest == *digest) return true;
  }
  return false;
}

bool Receiver::is_stale(EcpSequence sequence, Instant now, Duration window) const {
  const Remembered& last = memory_[(next_ + memory_.size() - 1) % memory_.size()];
  if (!in_order_ || !last.valid || now - last.at > window) return false;
  const auto behind = static_cast<std::uint16_t>(last.sequence.value() - sequence.value());
  return behind >= 1 && behind <= kStaleBehindMax;
}

void Receiver::accept(EcpSequence sequence, Octets payload, Instant now) {
  memory_[next_] = {sequence, digest_of(payload), now, true};
  next_ = (next_ + 1) % memory_.size();
  ++stats_.accepted;
}

void Receiver::reset() {
  memory_.fill({});
  next_ = 0;
}

}  // namespace splitnve::ecp
