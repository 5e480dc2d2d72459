// SPDX-License-Identifier: Apache-2.0
// Proof that a state x event table test has visited every cell.
#pragma once
#include <cstddef>
#include <cstdio>
#include <set>
#include <string>
#include <utility>

namespace splitnve::test {

/// Counts the visited cells of a table; report() prints `NAME cells=S*E covered=N` and says whether none is missing.
class TableCoverage {
 public:
  TableCoverage(std::string name, std::size_t states, std::size_t events)
      : name_(std::move(name)), states_(states), events_(events) {}

  /// False if the cell lies outside the table or was visited before.
  template <class State, class Event>
  bool visit(State state, Event event) {
    const auto row = static_cast<std::size_t>(state);
    const auto column = static_cast<std::size_t>(event);
    return row < states_ && column < events_ && visited_.insert({row, column}).second;
  }
  bool report() const {
    std::printf("%s cells=%zu*%zu covered=%zu\n", name_.c_str(), states_, events_, visited_.size());
    return visited_.size() == states_ * events_;
  }

 private:
  std::string name_;
  std::size_t states_;
  std::size_t events_;
  std::set<std::pair<std::size_t, std::size_t>> visited_;
};

}  // namespace splitnve::test
