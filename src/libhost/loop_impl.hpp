// SPDX-License-Identifier: Apache-2.0
// The one place where Asio is seen.
#pragma once
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>

#include "splitnve/host/loop.hpp"

namespace splitnve::host {

struct Loop::Impl {
  boost::asio::io_context io{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{io.get_executor()};
  boost::asio::signal_set signals{io};
  std::function<void(int)> on_signal;
  std::function<void(Duration)> on_stall;
  boost::asio::steady_timer beat{io};
  std::chrono::steady_clock::time_point seen;  ///< when this loop last looked at the clock
  Duration asleep{};                           ///< of the machine, since its start
  bool told = false;                           ///< a call of on_stall is on its way
  Duration stalled{};                          ///< that it will tell

  void await_beat();
  /// The loop has looked at the clock: was it late?
  void look(std::chrono::steady_clock::time_point now);
  void tell_stall(Duration gap);

  void await_signal() {
    signals.async_wait([this](const boost::system::error_code& error, int number) {
      if (error) return;
      await_signal();
      on_signal(number);
    });
  }
};

}  // namespace splitnve::host
