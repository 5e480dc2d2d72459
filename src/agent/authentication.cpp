// SPDX-License-Identifier: Apache-2.0
#include "agent/authentication.hpp"

#include <string_view>

namespace splitnve::agent {
namespace {

/// Anybody on the wire can make us refuse: the log must not follow.
constexpr Duration kNoticePause = std::chrono::minutes(1);
constexpr const char* kReplayed = "authentication: replayed";
constexpr const char* kRefused = "refused";
constexpr std::string_view kUnknownSession = "authentication: unknown session";

const char* advice(std::string_view cause) {
  if (cause == "authentication: missing")
    return "give it one of our keys and set its \"authentication\", or set \"accept\" here";
  if (cause == "authentication: unknown key") return "it signs with a key id that is not in our \"keys\": add that key";
  if (cause == "authentication: wrong tag")
    return "its key of this id is not ours: compare the key files; or somebody forges its frames";
  return "somebody may be forging or repeating its frames: look at the link";
}

}  // namespace

Notice unauthenticated(const std::string& subject, const char* cause) {
  return Notice{"PEER_UNAUTHENTICATED", Notice::Level::kWarning, subject + ": " + cause + "; " + advice(cause)};
}

auth::Secret secret_of(const std::optional<auth::Secret>& configured, std::uint64_t seed) {
  if (configured) return *configured;
  auth::Secret out{};
  BoundedWriter(out).u64(seed);
  return out;
}

Authentication::Authentication(const auth::Authenticator::Config& config, std::string subject)
    : authenticator_(config), subject_(std::move(subject)) {}

Authentication::Heard Authentication::handle_frame(const ecp::Frame& frame, ecp::Session& session,
                                                   const vdp::Capabilities& own, Instant now, EffectQueue& effects) {
  using Verdict = auth::Authenticator::Verdict;
  auto judged = authenticator_.check(frame, own, now);
  Heard heard;
  heard.counter = judged.counter;
  heard.established = judged.established;
  heard.is_valid = judged.is_valid;
  heard.shown = judged.shown;
  if (judged.established) {
    // What is outstanding was signed under other keys, and what was received came under other keys.
    session.begin_anew();
    session.abandon();
    refusal_ = "";
    effects.push_back(Transition{"authentication", subject_, state_, "authenticated",
                                 "key " + std::to_string(authenticator_.session()->key().value())});
    state_ = "authenticated";
  }
  switch (judged.verdict) {
    case Verdict::kPass:
      // A retransmission is the same octets, so its counter was spent: ECP acknowledges it again.
      heard.pass = session.repeats(frame, now) || authenticator_.is_fresh(judged.counter, frame.operation);
      if (!heard.pass) heard.dropped = kReplayed;
      break;
    case Verdict::kHandshake: break;
    case Verdict::kDrop: heard.dropped = judged.cause; break;
  }
  if (heard.dropped != nullptr) log_refusal(heard.dropped, now, effects);
  return heard;
}

/// Only what ECP has taken is spent: without room in the inbox the same octets come again.
void Authentication::handled(ecp::Session::Verdict verdict, std::uint64_t counter) {
  switch (verdict) {
    case ecp::Session::Verdict::kDelivered: authenticator_.spend(counter, ecp::Operation::kRequest); break;
    case ecp::Session::Verdict::kAck:
    case ecp::Session::Verdict::kUnexpectedAck: authenticator_.spend(counter, ecp::Operation::kAck); break;
    case ecp::Session::Verdict::kDuplicate:
    case ecp::Session::Verdict::kStale:
    case ecp::Session::Verdict::kInboxFull: break;
  }
}

/// With a session a refusal is a forger's or a late frame, and changes no state. Frames of a session that we have lost
/// are the ordinary beginning of a new one.
void Authentication::log_refusal(const char* cause, Instant now, EffectQueue& effects) {
  if (cause == kUnknownSession) return;
  if (authenticator_.session() == nullptr) {
    refusal_ = cause;
    if (state_ != kRefused) effects.push_back(Transition{"authentication", subject_, state_, kRefused, cause});
    state_ = kRefused;
  }
  if (noticed_at_ && now < *noticed_at_ + kNoticePause) return;
  noticed_at_ = now;
  effects.push_back(unauthenticated(subject_, cause));
}

Authentication::View Authentication::view() const {
  View view;
  if (authenticator_.mode() == auth::Mode::kOff) return view;
  view.state = state_;
  if (authenticator_.session() != nullptr) view.key = authenticator_.session()->key();
  view.refusal = refusal_;
  view.sessions = authenticator_.stats().sessions;
  view.refused = authenticator_.stats().refused;
  return view;
}

void Authentication::send(ecp::Session& session, OctetString& vdpdu, Instant now) {
  authenticator_.seal(ecp::Operation::kRequest, session.next_sequence(), session.config().destination, vdpdu);
  session.send(vdpdu, now);
}

bool Authentication::poll_frame(ecp::Session& session, const vdp::Capabilities& own, OctetString& out) {
  const MacAddress& destination = session.config().destination;
  if (authenticator_.poll_frame(own, destination, out)) return true;
  const auto acknowledged = authenticator_.session() != nullptr ? session.poll_ack() : std::nullopt;
  if (!acknowledged) return session.poll_frame(out);
  OctetString payload;
  authenticator_.seal(ecp::Operation::kAck, *acknowledged, destination, payload);
  ecp::encode_frame(destination, session.config().own_mac, ecp::Operation::kAck, *acknowledged, payload, out);
  return true;
}

}  // namespace splitnve::agent
