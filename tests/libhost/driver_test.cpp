// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/driver.hpp"

#include <gtest/gtest.h>

namespace splitnve::host {
namespace {

using std::chrono::milliseconds;

/// An agent that writes down what it is told and hands out what the test put in.
struct ScriptedAgent {
  std::deque<agent::Effect> effects;
  std::vector<std::string> told;
  std::vector<agent::BatchResult> results;
  std::optional<Instant> deadline;
  int work = 0;
  bool inside = false;

  struct Entry {
    explicit Entry(bool& the_flag) : flag(the_flag) {
      EXPECT_FALSE(flag) << "the agent was entered while it was inside";
      flag = true;
    }
    ~Entry() { flag = false; }
    bool& flag;
  };
  void handle_frame(PortId, Octets, Instant) {}
  bool handle_work(std::size_t budget, Instant) {
    const Entry entry(inside);
    if (work == 0) return false;
    EXPECT_GT(budget, 0u);
    told.push_back("work");
    return --work > 0;
  }
  void handle_time(Instant now) {
    const Entry entry(inside);
    EXPECT_GE(now, *deadline);
    deadline.reset();
    told.push_back("time");
  }
  void handle_stall(Duration, Instant) {}
  void handle_link(PortId, bool, Instant) {}
  void handle_result(const agent::BatchResult& result, Instant) {
    const Entry entry(inside);
    EXPECT_TRUE(effects.empty()) << "a result came before the effects were drained";
    results.push_back(result);
    told.push_back("result");
    if (result.batch == BatchId(1)) effects.push_back(agent::Program{BatchId(2), {}});
  }
  std::optional<agent::Effect> poll_effect() {
    const Entry entry(inside);
    if (effects.empty()) return std::nullopt;
    agent::Effect effect = std::move(effects.front());
    effects.pop_front();
    return effect;
  }
  std::optional<Instant> next_deadline() const { return deadline; }
};

class DriverTest : public ::testing::Test {
 protected:
  DriverTest() : log_(quiet()), guard_(loop_, [this] { give_up(); }) {
    guard_.arm(Loop::now() + std::chrono::seconds(20));
  }
  static LogOptions quiet() {
    LogOptions options;
    options.level = LogLevel::kError;
    return options;
  }
  void give_up() {
    ADD_FAILURE() << "the loop did not come to its end";
    loop_.stop();
  }
  EffectHandlers handlers() {
    EffectHandlers all;
    all.program = [this](agent::Program program) {
      done_.push_back("program");
      if (program.batch == BatchId(2)) loop_.post([this] { loop_.stop(); });
      return std::optional(agent::BatchResult{program.batch, {}, ""});
    };
    all.persist = [this](const agent::Persist& persist) -> std::optional<agent::BatchResult> {
      done_.push_back("persist");
      later_ = persist.batch;
      return std::nullopt;
    };
    all.publish = [this](const agent::Publish& publish) {
      done_.push_back("publish");
      return std::optional(agent::BatchResult{publish.batch, {}, "authority unreachable"});
    };
    all.answer = [this](const agent::Answer& answer) { done_.push_back("answer " + answer.reason); };
    all.transition = [this](const agent::Transition& transition) { done_.push_back(transition.to); };
    return all;
  }

  Loop loop_;
  Log log_;
  Timer guard_;
  ScriptedAgent agent_;
  std::vector<std::string> done_;
  BatchId later_;
  Driver<ScriptedAgent> driver_{loop_, log_, agent_, handlers()};
};

TEST_F(DriverTest, EffectsAreCarriedOutInOrderAndResultsComeBackInATurnOfTheirOwn) {
  agent_.effects = {agent::Transition{"tsi", "x", "a", "Associated", "r"}, agent::Program{BatchId(1), {}},
                    agent::Answer{1, true, "yes"}};
  driver_.kick();
  loop_.run();
  EXPECT_EQ(done_, (std::vector<std::string>{"Associated", "program", "answer yes", "program"}));
  EXPECT_EQ(agent_.results.front().batch, BatchId(1));
}

TEST_F(DriverTest, AResultMayComeLaterAndAFailureReachesTheAgent) {
  agent_.effects = {agent::Persist{BatchId(7), {}}, agent::Publish{BatchId(8), {}, {}}};
  loop_.post([this] {
    loop_.post([this] { driver_.answer({later_, {}, ""}); });
    loop_.post([this] { loop_.post([this] { loop_.post([this] { loop_.stop(); }); }); });
  });
  driver_.kick();
  loop_.run();
  ASSERT_EQ(agent_.results.size(), 2u);
  EXPECT_EQ(agent_.results[0].batch, BatchId(8));
  EXPECT_EQ(agent_.results[0].error, "authority unreachable");
  EXPECT_EQ(agent_.results[1].batch, BatchId(7));
  EXPECT_TRUE(agent_.results[1].ok());
}

TEST_F(DriverTest, WorkIsDoneTurnByTurnWithTheLoopServedBetween) {
  agent_.work = 3;
  std::vector<std::size_t> seen;
  std::function<void()> other = [&] {
    seen.push_back(agent_.told.size());
    if (agent_.work == 0) return loop_.stop();
    loop_.post(other);
  };
  driver_.kick();
  loop_.post(other);
  loop_.run();
  EXPECT_EQ(agent_.told, (std::vector<std::string>{"work", "work", "work"}));
  EXPECT_EQ(seen, (std::vector<std::size_t>{1, 2, 3})) << "another task ran between two pieces of work";
}

TEST_F(DriverTest, TheAgentIsWokenAtItsDeadline) {
  agent_.deadline = Loop::now() + milliseconds(5);
  std::function<void()> look = [&] {
    if (!agent_.deadline) return loop_.stop();
    loop_.post(look);
  };
  driver_.kick();
  loop_.post(look);
  loop_.run();
  EXPECT_EQ(agent_.told, (std::vector<std::string>{"time"}));
}

}  // namespace
}  // namespace splitnve::host
