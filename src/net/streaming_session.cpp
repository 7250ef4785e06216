#include "net/streaming_session.hpp"

#include "net/http_answer.hpp"
#include "net/http_route.hpp"
#include "net/wire/formats.hpp"

#include <boost/asio/buffer.hpp>

#include <algorithm>

namespace confab::net {

namespace {

/// How long the peer has to take the rest and to close its side.
constexpr std::int64_t close_ms = 5000;

} // namespace

void streaming_session::start(subscribe_command x, std::string fields) {
  fields_ = std::move(fields);
  port_ = thread_.shared().backend.connect({&owner(), id}, {"anonymous", made_up_client()});
  port_->tell(std::move(x));
  listen();
}

void streaming_session::take(event& x) {
  if (cut_ || ending_ms_ > 0)
    return;
  if (auto* e = std::get_if<subscribed_event>(&x)) {
    begin(*e);
  } else if (auto* u = std::get_if<unsubscribed_event>(&x)) {
    unfollow(u->name);
    end();
  } else if (auto* f = std::get_if<failed_event>(&x)) {
    refuse(f->why);
  }
}

void streaming_session::failed(model::follower& x, const model::error& why) {
  end_subscription(x);
  refuse(why);
}

std::int64_t streaming_session::due(std::int64_t now_ms) {
  if (cut_)
    return 0;
  if (ending_ms_ > 0) {
    if (now_ms < ending_ms_ + close_ms)
      return now_ms + close_ms;
    cut();
    return 0;
  }
  auto next = now_ms + thread_.shared().limits.heartbeat_ms;
  if (began_ms_ == 0)
    return next;
  if (auto last_ms = began_ms_ + lasts_ms(); lasts_ms() > 0) {
    if (now_ms >= last_ms) {
      end();
      return now_ms + close_ms;
    }
    next = std::min(next, last_ms);
  }
  post(":\n\n");
  owner().touch(*this);
  return next;
}

void streaming_session::drain(std::int64_t reconnect_ms) {
  if (began_ms_ > 0 && ending_ms_ == 0)
    say_drained(reconnect_ms);
  end();
}

void streaming_session::post_begin(std::string_view cache, std::string_view fields,
                                   std::string_view first) {
  began_ms_ = io_thread::now_ms();
  auto out = begin_answer({.type = "text/event-stream",
                           .fields = fields_.append(fields),
                           .cache = cache,
                           .closes = true}) +
             "X-Accel-Buffering: no\r\n\r\n";
  std::string{}.swap(fields_);
  post(out.append(first));
}

void streaming_session::post_empty(unsigned status) {
  post(begin_answer({.status = status, .fields = fields_, .closes = true}) + "\r\n");
}

void streaming_session::refuse(const model::error& why, std::string_view fields) {
  count(why);
  if (began_ms_ > 0) {
    say_failed(why);
  } else {
    auto status = wire::status_of(why.what);
    auto body = wire::problem_body(status, reason_of(status), why);
    post(begin_answer({.status = status,
                       .type = "application/problem+json",
                       .fields = fields_.append(fields),
                       .closes = true}) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  end();
}

void streaming_session::end() {
  if (ending_ms_ > 0)
    return;
  ending_ms_ = io_thread::now_ms();
  follower_ = nullptr;
  unfollow_all();
  owner().touch(*this);
}

void streaming_session::flushed() {
  if (cut_)
    return;
  if (follower_ && follower_->sub.told_closed())
    end();
  if (ending_ms_ > 0 && backlog() == 0 && !blocked()) {
    error_code ignored; // the peer may have gone already
    socket_.shutdown(tcp_socket::shutdown_send, ignored);
  }
}

/// A client has nothing to say here; its end of stream is the end.
void streaming_session::listen() {
  socket_.async_read_some(asio::buffer(ignored_),
                          [this, self = shared_from_this()](error_code ec, std::size_t) {
                            if (ec)
                              cut();
                            else if (!cut_)
                              listen();
                          });
}

} // namespace confab::net
