// SPDX-License-Identifier: Apache-2.0
#include "splitnve/auth/authenticator.hpp"

#include <algorithm>
#include <utility>

#include "splitnve/auth/hmac.hpp"

namespace splitnve::auth {
namespace {

/// Between two answers to plain hellos, which anybody can send.
constexpr Duration kAnswerPause = std::chrono::milliseconds(10);
/// Between two plain hellos that foreign signatures make us say.
constexpr Duration kPlainPause = std::chrono::milliseconds(100);
/// A station's own hellos: first pause, and what it doubles up to.
constexpr Duration kHelloPauseFirst = std::chrono::milliseconds(100);
constexpr Duration kHelloPauseMax = std::chrono::seconds(1);
/// At 30 % loss both ways one ECPDU in 15 fails, and hardly ever three in a row with nothing heard meanwhile.
constexpr unsigned kFailuresMax = 3;
/// A peer that has a key signs once it has heard a hello of ours; one that still does not after so many has none.
constexpr unsigned kPlainHellosMax = 8;
/// The sequence of hellos and of their acknowledgements: ECP never sees it.
constexpr EcpSequence kHelloSequence{0};

}  // namespace

const char* to_string(Mode mode) {
  switch (mode) {
    case Mode::kOff: return "off";
    case Mode::kAccept: return "accept";
    case Mode::kRequire: return "require";
  }
  return "off";
}

Authenticator::Authenticator(const Config& config) : config_(config), hello_pause_(kHelloPauseFirst) {
  ensure(config_.mode == Mode::kOff || (config_.keys && !config_.keys->empty()), "authentication needs a key");
  if (config_.mode != Mode::kOff) renew_nonce();
}

/// Each is used for one session at most, and none tells another.
void Authenticator::renew_nonce() {
  const std::uint64_t number = nonces_++;
  std::array<std::uint8_t, sizeof(number)> text;
  BoundedWriter(text).u64(number);
  const auto digest = Hmac(config_.seed)(text);
  std::copy_n(digest.begin(), nonce_.size(), nonce_.begin());
}

Authenticator::Judgement Authenticator::check(const ecp::Frame& frame, const vdp::Capabilities& own, Instant now) {
  if (config_.mode == Mode::kOff) return {};
  const auto read = outline(frame.payload);
  if (read) {
    const auto judged = read->seal ? check_sealed(frame, *read, own, now) : check_plain(frame, *read, own, now);
    // Who speaks to a bridge alone is behind others that keep the group to themselves.
    if (config_.role == vdp::Role::kBridge && (hello_ != Hello::kNone || ack_))
      hello_to_ = is_link_group(frame.destination) ? ecp::kNearestCustomerBridge : frame.source;
    return judged;
  }
  if (may_send() && !session_) return {};  // VDP says what is wrong with it
  return refuse("authentication: malformed");
}

Authenticator::Judgement Authenticator::refuse(const char* cause) {
  ++stats_.refused;
  Judgement refused;
  refused.verdict = Verdict::kDrop;
  refused.cause = cause;
  return refused;
}

bool Authenticator::greets(const Outline& read, const ecp::Frame& frame) const {
  return read.capabilities && read.capabilities->role != config_.role && frame.operation == ecp::Operation::kRequest;
}

Authenticator::Judgement Authenticator::check_plain(const ecp::Frame& frame, const Outline& read,
                                                    const vdp::Capabilities& own, Instant now) {
  const bool hello = greets(read, frame);
  if (hello) answer_hello(*read.capabilities, frame.source, own, now);
  if (config_.mode == Mode::kAccept && !session_) return {};
  if (!hello || read.others) return refuse("authentication: missing");
  if (!session_ && ++plain_hellos_ > kPlainHellosMax) return refuse("authentication: missing");
  Judgement greeted;
  greeted.verdict = Verdict::kHandshake;
  return greeted;
}

void Authenticator::answer_hello(const vdp::Capabilities& shown, const MacAddress& peer, const vdp::Capabilities& own,
                                 Instant now) {
  ++stats_.hellos_heard;
  if (now < answered_at_ + kAnswerPause && answered_at_ != Instant{}) return;
  answered_at_ = now;
  if (session_ && session_->peer_nonce() == shown.nonce && session_->peer_mac() == peer) {
    hello_ = Hello::kSession;
    return;
  }
  candidate_.emplace(*config_.keys->preferred(), parties(shown, peer, own), config_.role);
  hello_ = Hello::kCandidate;
}

Parties Authenticator::parties(const vdp::Capabilities& shown, const MacAddress& peer,
                               const vdp::Capabilities& own) const {
  const bool station = config_.role == vdp::Role::kStation;
  Parties between;
  between.station_nonce = station ? nonce_ : shown.nonce;
  between.bridge_nonce = station ? shown.nonce : nonce_;
  between.station_system = station ? own.system : shown.system;
  between.bridge_system = station ? shown.system : own.system;
  between.station_mac = station ? config_.own_mac : peer;
  between.bridge_mac = station ? peer : config_.own_mac;
  return between;
}

/// The session that the frame names, if it is one of ours, or one that its capabilities and our next nonce make.
Session* Authenticator::session_of(const ecp::Frame& frame, const Outline& read, const vdp::Capabilities& own) {
  for (auto* known : {&session_, &candidate_})
    if (*known && (*known)->id() == read.seal->session && (*known)->key().value() == read.seal->key) return &**known;
  if (!greets(read, frame)) return nullptr;
  const Key* key = config_.keys->find(KeyId(read.seal->key));
  if (key == nullptr) return nullptr;
  // Keys are derived only for a frame that names the session.
  const Parties between = parties(*read.capabilities, frame.source, own);
  if (session_id(key->id, between) != read.seal->session) return nullptr;
  return &candidate_.emplace(*key, between, config_.role);
}

Authenticator::Judgement Authenticator::check_sealed(const ecp::Frame& frame, const Outline& read,
                                                     const vdp::Capabilities& own, Instant now) {
  if (config_.keys->find(KeyId(read.seal->key)) == nullptr) return refuse("authentication: unknown key");
  Session* session = session_of(frame, read, own);
  if (session == nullptr) {
    if (!session_ && (!said_plain_at_ || now >= *said_plain_at_ + kPlainPause)) {
      said_plain_at_ = now;
      hello_ = Hello::kPlain;
    }
    return refuse("authentication: unknown session");
  }
  const Envelope envelope{frame.destination, frame.source, frame.operation, frame.sequence};
  if (!session->verify(envelope, read.covered, read.seal->tag)) return refuse("authentication: wrong tag");
  ++stats_.valid;
  failures_ = 0;
  Judgement valid;
  valid.is_valid = true;
  valid.counter = read.seal->counter;
  valid.established = candidate_ && session == &*candidate_;
  if (valid.established) establish();
  if (valid.counter != 0) return valid;
  valid.verdict = Verdict::kHandshake;
  if (frame.operation == ecp::Operation::kRequest) {
    if (greets(read, frame)) valid.shown = read.capabilities;
    ack_ = frame.sequence;
  }
  return valid;
}

void Authenticator::establish() {
  session_ = std::move(candidate_);
  candidate_.reset();
  hello_ = Hello::kNone;
  hello_pause_ = kHelloPauseFirst;
  plain_hellos_ = 0;
  ++stats_.sessions;
  renew_nonce();
}

bool Authenticator::is_fresh(std::uint64_t counter, ecp::Operation operation) const {
  return counter == 0 || (session_ && session_->window.is_fresh(counter, operation));
}

void Authenticator::spend(std::uint64_t counter, ecp::Operation operation) {
  if (counter != 0) session_->window.spend(counter, operation);
}

void Authenticator::handle_delivery_failed() {
  if (!session_ || ++failures_ < kFailuresMax) return;
  hello_ = Hello::kPlain;
  hello_to_.reset();
}

void Authenticator::handle_time(Instant now) {
  const auto due = next_deadline();
  if (!due || now < *due) return;
  hello_ = Hello::kPlain;
  hello_at_ = now + hello_pause_;
  hello_pause_ = std::min(2 * hello_pause_, kHelloPauseMax);
}

std::optional<Instant> Authenticator::next_deadline() const {
  const bool begins = config_.mode == Mode::kRequire && config_.role == vdp::Role::kStation && !session_;
  return begins ? std::optional(hello_at_) : std::nullopt;
}

void Authenticator::seal(ecp::Operation operation, EcpSequence sequence, const MacAddress& destination,
                         OctetString& vdpdu) {
  if (session_) session_->seal({destination, config_.own_mac, operation, sequence}, vdpdu);
}

bool Authenticator::poll_frame(const vdp::Capabilities& own, const MacAddress& conversation, OctetString& out) {
  const MacAddress destination = hello_to_.value_or(conversation);
  OctetString payload;
  if (const auto acknowledged = std::exchange(ack_, std::nullopt)) {
    session_->seal_handshake({destination, config_.own_mac, ecp::Operation::kAck, *acknowledged}, payload);
    ecp::encode_frame(destination, config_.own_mac, ecp::Operation::kAck, *acknowledged, payload, out);
    return true;
  }
  const Hello hello = std::exchange(hello_, Hello::kNone);
  if (hello == Hello::kNone) return false;
  vdp::Capabilities shown = own;
  shown.nonce = hello == Hello::kSession ? session_->own_nonce() : nonce_;
  vdp::write_capabilities_only(shown, payload);
  const Envelope envelope{destination, config_.own_mac, ecp::Operation::kRequest, kHelloSequence};
  if (hello == Hello::kSession) session_->seal_handshake(envelope, payload);
  if (hello == Hello::kCandidate && candidate_) candidate_->seal_handshake(envelope, payload);
  ecp::encode_frame(destination, config_.own_mac, ecp::Operation::kRequest, kHelloSequence, payload, out);
  ++stats_.hellos_sent;
  return true;
}

}  // namespace splitnve::auth
