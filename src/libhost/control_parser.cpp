// SPDX-License-Identifier: Apache-2.0
#include "control_parser.hpp"

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "splitnve/host/loop.hpp"

namespace splitnve::host {

/// Outlives the parser while a result is on its way through the loop.
struct ControlParser::Impl : std::enable_shared_from_this<Impl> {
  Impl(Loop& the_loop, Read the_read) : loop(the_loop), read(std::move(the_read)) {}

  struct Job {
    std::string line;
    Done done;
  };

  void run() {
    ::pthread_setname_np(::pthread_self(), "parser");  // as top -H and /proc show it
    for (std::unique_lock lock(guard);;) {
      arrived.wait(lock, [this] { return ending || !jobs.empty(); });
      if (ending) return;
      Job job = std::move(jobs.front());
      jobs.pop_front();
      lock.unlock();
      carry_out(std::move(job));
      lock.lock();
    }
  }
  void carry_out(Job job) {
    auto parsed = std::make_shared<const Parsed>(read(job.line));
    loop.post([weak = weak_from_this(), done = std::move(job.done), parsed = std::move(parsed)] {
      if (weak.lock()) done(*parsed);
    });
  }

  Loop& loop;
  Read read;
  std::mutex guard;  ///< of jobs and ending
  std::condition_variable arrived;
  std::deque<Job> jobs;
  bool ending = false;
  std::thread thread;
};

ControlParser::ControlParser(Loop& loop, Read read) : impl_(std::make_shared<Impl>(loop, std::move(read))) {}

ControlParser::~ControlParser() {
  {
    const std::lock_guard lock(impl_->guard);
    impl_->ending = true;
  }
  impl_->arrived.notify_one();
  if (impl_->thread.joinable()) impl_->thread.join();
}

void ControlParser::parse(std::string line, Done done) {
  if (!impl_->thread.joinable()) impl_->thread = std::thread([raw = impl_.get()] { raw->run(); });
  {
    const std::lock_guard lock(impl_->guard);
    impl_->jobs.push_back({std::move(line), std::move(done)});
  }
  impl_->arrived.notify_one();
}

}  // namespace splitnve::host
