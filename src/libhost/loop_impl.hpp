// SPDX-License-Identifier: Apache-2.0
// The one place where Asio is seen.
#pragma once
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "splitnve/host/loop.hpp"

namespace splitnve::host {

struct Loop::Impl {
  boost::asio::io_context io{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{io.get_executor()};
  boost::asio::signal_set signals{io};
  std::function<void(int)> on_signal;

  void await_signal() {
    signals.async_wait([this](const boost::system::error_code& error, int number) {
      if (error) return;
      await_signal();
      on_signal(number);
    });
  }
};

}  // namespace splitnve::host
