// SPDX-License-Identifier: Apache-2.0
#include "control_connection.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "splitnve/host/json_text.hpp"

namespace splitnve::host {
namespace {

constexpr std::size_t kReadOctets = 16 * 1024;

}  // namespace

ControlConnection::ControlConnection(Loop& loop, Owner& owner, std::uint64_t id, int fd, uid_t uid, Access access)
    : loop_(loop),
      owner_(owner),
      id_(id),
      fd_(fd),
      uid_(uid),
      access_(access),
      progress_(Loop::now()),
      next_turn_(loop, [this] { pump(); }),
      watch_(std::make_unique<FdWatch>(loop, fd, [this] { on_readable(); }, [this] { pump(); })) {
  watch_->want_read(true);
}

ControlConnection::~ControlConnection() {
  watch_.reset();  // before its descriptor goes
  ::close(fd_);
}

void ControlConnection::on_readable() {
  std::array<char, kReadOctets> buffer;
  const ssize_t count = recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count < 0) return close();
  if (count == 0) {
    // The client has said all it wants to say and may still read; what it asked is answered first.
    input_ended_ = true;
    watch_->want_read(false);
  } else {
    input_.append(buffer.data(), static_cast<std::size_t>(count));
    progress_ = Loop::now();
  }
  take_lines();
}

void ControlConnection::take_lines() {
  if (std::exchange(taking_, true)) return;  // an answer within on_line comes back here; the loop below goes on
  std::size_t begin = 0;
  while (!request_ && !closing_ && !closed_ && output_.size() < kControlOutputOctetsMax) {
    const std::size_t end = input_.find('\n', begin);
    const bool complete = end != std::string::npos;
    if ((complete ? end : input_.size()) - begin > kControlLineOctetsMax) {
      owner_.on_oversize(*this);
      break;
    }
    if (!complete) break;
    const std::string line = input_.substr(begin, end - begin);
    begin = end + 1;
    if (!line.empty()) owner_.on_line(*this, line);
  }
  input_.erase(0, begin);
  taking_ = false;
  if (closed_) return;
  // Back-pressure: while a request is served, a client that goes on asking waits in its own socket buffer.
  watch_->want_read(!input_ended_ && !closing_ && input_.size() <= kControlLineOctetsMax);
  if (input_ended_ && !request_ && input_.find('\n') == std::string::npos) closing_ = true;
  pump_soon();
}

void ControlConnection::begin(std::uint64_t asker, nlohmann::json request_id) {
  request_ = Request{asker, std::move(request_id), {}, {}, {}};
}

void ControlConnection::answer(std::uint64_t asker, const nlohmann::json& end) {
  if (!request_ || request_->asker != asker) return;
  nlohmann::json line = end;
  line["id"] = request_->id;
  request_.reset();
  append(line);
  take_lines();
}

void ControlConnection::stream(std::uint64_t asker, RowSource rows, nlohmann::json end) {
  if (!request_ || request_->asker != asker) return;
  request_->rows = std::move(rows);
  request_->before_row = "{\"id\":" + request_->id.dump() + ",\"row\":";
  request_->end = std::move(end);
  pump_soon();
}

void ControlConnection::refuse_and_close(const nlohmann::json& line) {
  append(line);
  closing_ = true;
  pump_soon();
}

void ControlConnection::append(const nlohmann::json& line) {
  JsonText(output_).tree(line);
  output_ += '\n';
}

void ControlConnection::make_rows() {
  const Instant until = Loop::now() + kControlTurnMax;
  do {
    const std::size_t line = output_.size();
    output_ += request_->before_row;
    const std::size_t row = output_.size();
    if (!request_->rows(output_)) {
      output_.resize(line);
      return answer(request_->asker, std::exchange(request_->end, {}));
    }
    if (output_.size() == row)
      output_.resize(line);
    else
      output_ += "}\n";
  } while (output_.size() < kControlOutputOctetsMax && Loop::now() < until);
}

bool ControlConnection::write_out() {
  std::size_t written = 0;
  while (written < output_.size()) {
    const ssize_t count = send(fd_, output_.data() + written, output_.size() - written, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno != EAGAIN) return false;
    if (count < 0) break;
    written += static_cast<std::size_t>(count);
  }
  if (written > 0) progress_ = Loop::now();
  output_.erase(0, written);
  return true;
}

void ControlConnection::pump() {
  if (closed_) return;
  if (request_ && request_->rows) make_rows();
  if (!write_out()) return close();
  watch_->want_write(!output_.empty());
  if (!output_.empty()) return;
  if (closing_ && !request_) return close();
  if (request_ && request_->rows) return next_turn_.arm(Loop::now() + kControlPause);
  // Lines that waited for room in the output.
  if (!request_ && input_.find('\n') != std::string::npos) take_lines();
}

void ControlConnection::pump_soon() {
  if (closed_ || std::exchange(pump_posted_, true)) return;
  loop_.post([this, alive = std::weak_ptr<int>(alive_)] {
    if (alive.expired()) return;
    pump_posted_ = false;
    pump();
  });
}

bool ControlConnection::is_overdue(Instant now, Duration idle_max, Duration stall_max) const {
  if (!output_.empty()) return now - progress_ > stall_max;
  return !request_ && now - progress_ > idle_max;
}

void ControlConnection::close() {
  if (std::exchange(closed_, true)) return;
  request_.reset();
  watch_->want_read(false);
  watch_->want_write(false);
  owner_.on_closed(*this);
}

}  // namespace splitnve::host
