// SPDX-License-Identifier: Apache-2.0
// Joins a pure agent to the world: frames, time and results go in, effects come out and are carried out. Both daemons,
// and nothing else, use it. No logic of the protocol stands here.
#pragma once
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

#include "splitnve/agent/effects.hpp"
#include "splitnve/host/log.hpp"
#include "splitnve/host/loop.hpp"
#include "splitnve/host/ports.hpp"

namespace splitnve::host {

/// Steps of work (requests and their entries) an agent may do before the loop looks at its sockets again: a few
/// milliseconds at most.
inline constexpr std::size_t kWorkBudget = 256;
/// When this much was received at once, and what came before it changed something, acknowledgements leave before the
/// work: the peer then makes its next ECPDU ready meanwhile. What changes nothing, keep-alives for one, is done sooner
/// than the peer is woken twice, and its answers go with them.
inline constexpr std::size_t kAcknowledgeFirstOctets = 512;

/// How a daemon carries out the effects that need an answer. nullopt: the answer comes later by `Driver::answer()`.
struct EffectHandlers {
  std::function<std::optional<agent::BatchResult>(agent::Program)> program;
  std::function<std::optional<agent::BatchResult>(agent::Persist)> persist;
  std::function<std::optional<agent::BatchResult>(agent::Publish)> publish;
  std::function<void(const agent::Answer&)> answer;
  /// Before the agent is told; for the datapath, which re-attaches to an interface that came back.
  std::function<void(PortId, const LinkInfo&)> link;
  /// After links were told: where else in the kernel to look; may be empty.
  std::function<void(const KernelChanges&)> kernel = {};
  /// Each transition, and each notice that the log admitted, after it was logged: for the audit file; may be empty.
  std::function<void(agent::Transition)> transition;
  std::function<void(agent::Notice)> notice;
};

/// Everything runs on the loop's thread. One turn: results that came back -> due deadlines -> work within the budget ->
/// effects and their results -> one send per port; while there is more, the loop serves its sockets between two turns.
/// Results are queued, never fed from within the agent. Whoever calls the agent directly (a control verb) calls
/// `kick()` afterwards.
template <class Agent>
class Driver {
 public:
  Driver(Loop& loop, Log& log, Agent& agent, EffectHandlers handlers)
      : loop_(loop),
        log_(log),
        agent_(agent),
        handlers_(std::move(handlers)),
        ports_(loop, log,
               Ports::Events{[this](PortId port, Octets frame) { on_frame(port, frame); }, [this] { on_batch(); },
                             [this](PortId port, const LinkInfo& link) { on_link(port, link); },
                             [this](const KernelChanges& changes) {
                               if (handlers_.kernel) handlers_.kernel(changes);
                             }}),
        timer_(loop, [this] { turn(); }) {
    loop_.on_stall([this](Duration gap) {
      agent_.handle_stall(gap, Loop::now());
      turn();
    });
  }
  ~Driver() { loop_.on_stall({}); }
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  Ports& ports() { return ports_; }

  /// Drains what the agent wants and goes on with its work, from the loop, soon.
  void kick() {
    if (std::exchange(kicked_, true)) return;
    loop_.post([this, alive = std::weak_ptr<int>(alive_)] {
      if (alive.expired()) return;
      kicked_ = false;
      turn();
    });
  }
  /// Sends what the agent still has to say, now: the loop has ended.
  void finish() {
    drain();
    ports_.flush();
  }
  /// The answer to a batch whose handler returned nullopt. On the loop's thread.
  void answer(agent::BatchResult result) {
    results_.push_back(std::move(result));
    kick();
  }

 private:
  void on_frame(PortId port, Octets frame) {
    received_octets_ += frame.size();
    agent_.handle_frame(port, frame, Loop::now());
    drain();
  }
  void on_batch() {
    if (std::exchange(received_octets_, 0) < kAcknowledgeFirstOctets) return turn();
    if (std::exchange(changing_, false)) ports_.flush();
    turn();
  }
  void on_link(PortId port, const LinkInfo& link) {
    if (handlers_.link) handlers_.link(port, link);
    agent_.handle_link(port, link.up, Loop::now());
    drain();
    kick();
  }

  void turn() {
    const Instant now = Loop::now();
    take_results(now);
    if (const auto deadline = agent_.next_deadline(); deadline && *deadline <= now) {
      agent_.handle_time(now);
      drain();
    }
    const bool more = agent_.handle_work(kWorkBudget, now);
    drain();
    take_results(now);  // of the datapath, for the most part: the store's thread begins before frames leave
    ports_.flush();
    if (more || !results_.empty()) kick();
    arm();
  }
  /// Those that are there; what they bring is taken with the next ones.
  void take_results(Instant now) {
    for (std::size_t n = results_.size(); n > 0; --n) {
      const agent::BatchResult result = std::move(results_.front());
      results_.pop_front();
      agent_.handle_result(result, now);
      drain();
    }
  }
  void arm() {
    if (const auto deadline = agent_.next_deadline())
      timer_.arm(*deadline);
    else
      timer_.disarm();
  }
  void drain() {
    while (auto effect = agent_.poll_effect()) std::visit([this](auto& what) { carry_out(std::move(what)); }, *effect);
  }

  void carry_out(agent::Transmit&& transmit) { ports_.queue(transmit.port, std::move(transmit.frame)); }
  void carry_out(agent::Program&& program) { keep(handlers_.program(std::move(program))); }
  void carry_out(agent::Persist&& persist) { keep(handlers_.persist(std::move(persist))); }
  void carry_out(agent::Publish&& publish) { keep(handlers_.publish(std::move(publish))); }
  void carry_out(agent::Transition&& transition) {
    log_.transition(transition);
    if (handlers_.transition) handlers_.transition(std::move(transition));
  }
  void carry_out(agent::Notice&& notice) {
    if (log_.notice(notice) && handlers_.notice) handlers_.notice(std::move(notice));
  }
  void carry_out(agent::Answer&& answer) { handlers_.answer(answer); }
  void keep(std::optional<agent::BatchResult> result) {
    changing_ = true;
    if (!result) return;
    results_.push_back(std::move(*result));
    kick();
  }

  Loop& loop_;
  Log& log_;
  Agent& agent_;
  EffectHandlers handlers_;
  std::deque<agent::BatchResult> results_;
  std::size_t received_octets_ = 0;
  bool changing_ = false;  ///< effects that need an answer were made since frames last came
  bool kicked_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  Ports ports_;
  Timer timer_;
};

}  // namespace splitnve::host
