// How a connection reads: heads, bodies, ends and deadlines. http_requests.cpp carries out what was
// read.
#include "net/http_connection.hpp"

#include <array>
#include <cerrno>
#include <sys/socket.h>

namespace confab::net {

namespace http = boost::beast::http;

namespace {

/// One read, and what may wait in a connection's buffer.
constexpr std::size_t input_bytes_max = 64 * 1024;
/// A body that arrives slower than 1 KiB/s is given up: so many milliseconds more for each of its
/// bytes.
constexpr std::int64_t body_ms_per_byte = 1;
/// The hub's wheel takes questions for the next two minutes.
constexpr std::int64_t look_ms_max = 60'000;

} // namespace

void http_connection::listen() {
  if (waiting_ || cut_ || peer_done_ || stage_ == stage::leaving ||
      rest().size() >= input_bytes_max || (lines_ && lines_->full()))
    return;
  waiting_ = true;
  socket_.async_wait(tcp_socket::wait_read, [this, self = shared_from_this()](error_code ec) {
    waiting_ = false;
    if (cut_)
      return;
    if (ec)
      cut();
    else
      readable();
  });
}

void http_connection::readable() {
  if (stage_ == stage::leaving)
    return; // what comes is for the session that follows
  // One buffer per thread: an idle connection holds none.
  thread_local std::array<char, input_bytes_max> scratch;
  auto n = ::recv(socket_.native_handle(), scratch.data(), scratch.size(), MSG_DONTWAIT);
  if (n < 0)
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? listen() : cut();
  if (n == 0)
    return end_of_input();
  if (stage_ == stage::closing)
    return listen(); // closing at once would reset the connection, and the answer with it
  last_input_ms_ = io_thread::now_ms();
  in_.append(scratch.data(), static_cast<std::size_t>(n));
  if (blocked())
    listen();
  else
    flush();
}

void http_connection::end_of_input() {
  peer_done_ = true;
  switch (stage_) {
  case stage::answering:
    // A client that has closed its side only still gets its answer; one that has gone is noticed by
    // it.
    if (poll_)
      poll_->deadline_ms = 0;
    return flush();
  case stage::head:
    stage_ = stage::closing;
    return flush();
  default:
    // A body that broke off: what was acknowledged of it stays.
    return cut();
  }
}

void http_connection::turn() {
  if (cut_)
    return;
  if (poll_)
    try_poll();
  if (lines_)
    tell_receipts();
  while (step()) {
  }
  in_.erase(0, std::exchange(at_, 0));
  if (in_.empty())
    std::string{}.swap(in_);
  listen();
  if (auto at = deadline(io_thread::now_ms()); at < scheduled_ms_) {
    scheduled_ms_ = at;
    owner().look_after(*this, at);
  }
}

void http_connection::flushed() {
  if (cut_ || !clear())
    return;
  if (stage_ == stage::leaving)
    return leave();
  if (stage_ == stage::closing && !std::exchange(shut_, true)) {
    if (peer_done_)
      return cut();
    error_code ignored; // the peer may have gone already
    socket_.shutdown(tcp_socket::shutdown_send, ignored);
    since_ms_ = io_thread::now_ms();
    listen();
  }
  if (std::exchange(paused_, false))
    owner().touch(*this);
}

bool http_connection::step() {
  switch (stage_) {
  case stage::head:
    return take_head();
  case stage::body:
    return take_body();
  case stage::lines:
    return take_lines();
  case stage::closing:
    at_ = in_.size();
    return false;
  case stage::answering:
  case stage::leaving:
    return false;
  }
  return false;
}

bool http_connection::take_head() {
  if (backlog() > limits().backlog_bytes) {
    paused_ = true;
    return false;
  }
  if (!begun_)
    at_ += leading_empty_lines(rest());
  if (rest().empty() || rest() == "\r")
    return false;
  if (!std::exchange(begun_, true))
    since_ms_ = io_thread::now_ms();
  auto found = finder_.look(rest());
  if (found.refused) {
    refuse_and_close(found.refused->why, found.refused->status);
    return true;
  }
  if (found.bytes == 0)
    return false;
  auto parsed = parse_head(rest().substr(0, found.bytes));
  at_ += found.bytes;
  finder_.restart();
  begun_ = false;
  if (auto* refused = std::get_if<head_refusal>(&parsed)) {
    refuse_and_close(refused->why, refused->status);
    return true;
  }
  auto& head = std::get<request_head>(parsed);
  request_ = std::move(head.request);
  keep_ = request_.keep_alive();
  body_ = body_decoder{head.body};
  body_bytes_ = 0;
  route_ = route_of_head(request_, limits());
  return begin_body(head.body);
}

bool http_connection::begin_body(const body_framing& framing) {
  stage_ = stage::body;
  if (body_.done())
    return true;
  auto in_lines = std::holds_alternative<append_lines>(route_);
  if (!in_lines && framing.length > limits().frame_bytes) {
    refuse_and_close({model::code::frame_too_large, "body: at most " +
                                                        std::to_string(limits().frame_bytes) +
                                                        " bytes are allowed (net.frame_bytes)"},
                     413);
    return true;
  }
  if (auto expected = request_[http::field::expect];
      !expected.empty() && request_.version() == 11) {
    if (!boost::beast::iequals(expected, "100-continue")) {
      refuse_and_close({model::code::bad_request, "Expect: only 100-continue is known"}, 417);
      return true;
    }
    if (std::holds_alternative<refuse_request>(route_)) {
      carry_out(); // the body need not come
      return true;
    }
    if (rest().empty())
      post("HTTP/1.1 100 Continue\r\n\r\n");
  }
  if (in_lines)
    carry_out();
  return true;
}

bool http_connection::take_body() {
  while (!body_.done()) {
    auto x = body_.next(rest());
    if (x.bad) {
      refuse_and_close({model::code::bad_request, "body: its chunks are malformed"}, 400);
      return true;
    }
    if (x.used == 0)
      return false;
    at_ += x.used;
    body_bytes_ += x.piece.size();
    if (body_bytes_ > limits().frame_bytes) {
      refuse_and_close({model::code::frame_too_large, "body: at most " +
                                                          std::to_string(limits().frame_bytes) +
                                                          " bytes are allowed (net.frame_bytes)"},
                       413);
      return true;
    }
    request_.body().append(x.piece);
  }
  route_ = route_of_body(std::move(route_), request_, limits());
  carry_out();
  return true;
}

bool http_connection::take_lines() {
  auto& x = *lines_;
  while (true) {
    while (auto draft = x.next())
      port().tell(std::move(*draft));
    if (x.finished()) {
      finish_lines();
      return true;
    }
    if (x.over() || x.full() || backlog() > limits().backlog_bytes)
      break;
    auto piece = body_.next(rest());
    at_ += piece.used;
    if (piece.bad)
      x.stop({model::code::bad_request, "the chunks of the body are malformed"});
    else if (!piece.piece.empty())
      x.feed(piece.piece);
    else if (body_.done())
      x.end();
    else if (piece.used == 0)
      break;
  }
  if (x.begun_bytes() == 0 || x.lines() != std::exchange(seen_lines_, x.lines()))
    since_ms_ = io_thread::now_ms();
  return false;
}

std::int64_t http_connection::deadline(std::int64_t now_ms) const {
  switch (stage_) {
  case stage::head:
    return since_ms_ + (begun_ || !served_ ? limits().handshake_ms : limits().idle_ms);
  case stage::body:
    return since_ms_ + limits().handshake_ms +
           static_cast<std::int64_t>(body_bytes_) * body_ms_per_byte;
  case stage::lines:
    if (lines_->over() || lines_->full())
      return now_ms + look_ms_max;
    // A line may come whenever there is something to say; one that has begun must end.
    if (auto begun = static_cast<std::int64_t>(lines_->begun_bytes()); begun > 0)
      return since_ms_ + limits().handshake_ms + begun * body_ms_per_byte;
    return last_input_ms_ + limits().idle_ms;
  case stage::answering:
    return poll_ ? poll_->deadline_ms : now_ms + look_ms_max;
  case stage::leaving:
    return now_ms + look_ms_max;
  case stage::closing:
    return shut_ ? since_ms_ + limits().handshake_ms : now_ms + look_ms_max;
  }
  return now_ms + look_ms_max;
}

std::int64_t http_connection::due(std::int64_t now_ms) {
  if (cut_ || now_ms < scheduled_ms_)
    return 0;
  if (backlog() == 0 || backlog() != stalled_bytes_) {
    stalled_bytes_ = backlog();
    stalled_since_ms_ = now_ms;
  } else if (now_ms - stalled_since_ms_ >= limits().idle_ms) {
    owner().count().silent.add();
    cut(); // the peer does not read its answer
    return 0;
  }
  if (now_ms >= deadline(now_ms)) {
    expire();
    if (cut_)
      return 0;
  }
  scheduled_ms_ = std::clamp(deadline(now_ms), now_ms + 1, now_ms + look_ms_max);
  if (backlog() > 0)
    scheduled_ms_ = std::min(scheduled_ms_, now_ms + limits().idle_ms);
  return scheduled_ms_;
}

void http_connection::expire() {
  switch (stage_) {
  case stage::head:
    if (!begun_) // an answer that is not read has a deadline of its own
      return clear() ? cut() : void();
    [[fallthrough]];
  case stage::body:
    refuse_and_close({model::code::timeout, "request: was not there within net.handshake_ms"}, 408);
    break;
  case stage::lines:
    lines_->stop({model::code::timeout, "did not arrive in time"});
    break;
  case stage::answering:
    if (poll_)
      poll_->deadline_ms = 0;
    break;
  case stage::leaving:
    break;
  case stage::closing:
    return cut();
  }
  owner().touch(*this);
}

void http_connection::drain(std::int64_t) {
  draining_ = true;
  if (stage_ == stage::head) {
    if (clear())
      return cut();
    stage_ = stage::closing;
  } else if (stage_ == stage::lines) {
    lines_->stop({model::code::draining, "this server sends its clients away"});
  } else if (poll_) {
    poll_->deadline_ms = 0;
  }
  owner().touch(*this);
}

} // namespace confab::net
