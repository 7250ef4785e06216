#include "net/event_session.hpp"

#include "net/http_answer.hpp"
#include "net/http_route.hpp"
#include "net/socket_member.hpp"
#include "net/wire/formats.hpp"

#include <boost/asio/buffer.hpp>

#include <random>

namespace confab::net {

namespace {

/// How long the peer has to take the rest and to close its side.
constexpr std::int64_t close_ms = 5000;

/// A browser waits so long before it connects again; spread, so that a restart does not bring all
/// at once.
std::int64_t retry_ms() {
  thread_local std::minstd_rand random{std::random_device{}()};
  return std::uniform_int_distribution<std::int64_t>{1000, 3000}(random);
}

class event_session final : public socket_member {
public:
  event_session(tcp_socket socket, io_thread& thread, admission place)
    : socket_member{std::move(socket), thread, std::move(place)} {}

  void start(event_request x) {
    fields_ = std::move(x.fields);
    port_ = thread_.shared().backend.connect({&owner(), id}, {"anonymous", made_up_client()});
    port_->tell(subscribe_command{{}, std::move(x.name), x.from});
    listen();
  }

  void take(event& x) override {
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

  void failed(model::follower& x, const model::error& why) override {
    end_subscription(x);
    refuse(why);
  }

  std::int64_t due(std::int64_t now_ms) override {
    if (cut_)
      return 0;
    if (ending_ms_ > 0 && now_ms >= ending_ms_ + close_ms) {
      cut();
      return 0;
    }
    if (ending_ms_ == 0 && begun_) {
      post(":\n\n");
      owner().touch(*this);
    }
    return now_ms + (ending_ms_ > 0 ? close_ms : thread_.shared().limits.heartbeat_ms);
  }

  void drain(std::int64_t reconnect_ms) override {
    if (begun_ && ending_ms_ == 0)
      post("retry: " + std::to_string(reconnect_ms) + "\n\n");
    end();
  }

private:
  void begin(const subscribed_event& e) {
    auto at_end = e.state.life == model::lifecycle::closed && e.from.at >= e.state.tail;
    if (at_end) {
      post(begin_answer({.status = 204, .fields = fields_, .closes = true}) + "\r\n");
      return end();
    }
    begun_ = true;
    // Ends with the connection: a broken stream is resumed by id, so nothing is gained by chunks.
    auto out = begin_answer({.type = "text/event-stream", .fields = fields_, .closes = true}) +
               "X-Accel-Buffering: no\r\n\r\n";
    std::string{}.swap(fields_);
    out += "retry: " + std::to_string(retry_ms()) + '\n';
    wire::add_event_id(out, {e.state.epoch, e.from.at,
                             e.from.at == e.state.tail ? e.state.tail_id : model::entry_id{}});
    post(out);
    follower_ = &follow(e, wire::event_stream_format());
  }

  void refuse(const model::error& why) {
    if (begun_) {
      std::string out;
      wire::add_event_error(out, why);
      post(out);
    } else {
      auto status = wire::status_of(why.what);
      auto body = wire::problem_body(status, reason_of(status), why);
      post(begin_answer({.status = status,
                         .type = "application/problem+json",
                         .fields = fields_,
                         .closes = true}) +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    }
    end();
  }

  /// No more entries; the connection ends when everything has left.
  void end() {
    if (ending_ms_ > 0)
      return;
    ending_ms_ = io_thread::now_ms();
    follower_ = nullptr;
    unfollow_all();
    owner().touch(*this);
  }

  void flushed() override {
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
  void listen() {
    socket_.async_read_some(asio::buffer(ignored_),
                            [this, self = shared_from_this()](error_code ec, std::size_t) {
                              if (ec)
                                cut();
                              else if (!cut_)
                                listen();
                            });
  }

  std::array<char, 64> ignored_;
  std::string fields_;
  model::follower* follower_ = nullptr;
  std::int64_t ending_ms_ = 0;
  bool begun_ = false;
};

} // namespace

void serve_events(tcp_socket socket, io_thread& thread, admission place, event_request what) {
  auto session = std::make_shared<event_session>(std::move(socket), thread, std::move(place));
  thread.hub().add(session);
  session->start(std::move(what));
}

} // namespace confab::net
