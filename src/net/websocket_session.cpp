#include "net/websocket_session.hpp"

#include "net/turn_stream.hpp"
#include "net/wire/formats.hpp"

#include <boost/beast/websocket/stream.hpp>

namespace confab::net {

namespace {

namespace http = beast::http;

/// How long the peer has to answer our close frame.
constexpr std::int64_t close_ms = 5000;

class websocket_session final : public socket_member {
public:
  websocket_session(tcp_socket socket, io_thread& thread, admission place, client_identity who)
    : socket_member{std::move(socket), thread, std::move(place)}, who_{std::move(who)},
      stream_{*this} {}

  void start(const http_request& request, std::optional<subscribe_command> at_once);

  void take(event& x) override;
  std::int64_t due(std::int64_t now_ms) override;
  void drain(std::int64_t reconnect_ms) override;
  void failed(model::follower& x, const model::error& why) override;

private:
  void opened(std::optional<subscribe_command> at_once);
  void read();
  void on_read(error_code ec, std::size_t n);
  void on_message(std::string_view text);
  void handle(subscribe_command& x) { port_->tell(std::move(x)); }
  void handle(unsubscribe_command& x) { port_->tell(std::move(x)); }
  void handle(publish_command& x);
  void handle(wire::ack& x);
  void handle(wire::ping& x);
  void handle(wire::refusal& x);
  void refuse(std::string ref, std::optional<model::conversation_name> name, model::error why);
  /// A draft has its answer.
  void answered(std::size_t bytes);
  /// Sends frames for this client alone at the end of the hub's pass.
  template <class Add>
  void say(Add add) {
    std::string frame;
    add(frame);
    post(frame);
    owner().touch(*this);
  }
  void say_goodbye();
  void close(websocket::close_reason why);

  void flushed() override {
    stream_.next_layer().flushed();
    if (!cut_ && open_ && !reading_)
      read();
    watch_flushes_ = !reading_ || !control_sent();
  }
  void on_cut() override { stream_.next_layer().abort(); }

  [[nodiscard]] const session_limits& limits() noexcept { return thread_.shared().limits; }
  std::shared_ptr<websocket_session> self() {
    return std::static_pointer_cast<websocket_session>(shared_from_this());
  }

  client_identity who_;
  websocket::stream<turn_stream, false> stream_;
  /// Most commands fit; the rest of a longer message continues in `message_`.
  std::array<char, 128> head_;
  std::string message_;
  /// Bytes of the message in progress in `message_`; with 0, the next ones go into `head_`.
  std::size_t held_ = 0;
  /// The message in progress is beyond the limit: it is read, and not kept.
  bool dropping_ = false;
  std::size_t unanswered_ = 0;
  std::size_t unanswered_bytes_ = 0;
  std::int64_t seen_ms_ = io_thread::now_ms();
  std::int64_t pinged_ms_ = seen_ms_;
  std::int64_t closing_ms_ = 0;
  std::int64_t reconnect_ms_ = -1;
  bool reading_ = false;
  bool open_ = false;
};

void websocket_session::start(const http_request& request,
                              std::optional<subscribe_command> at_once) {
  stream_.set_option(websocket::stream_base::timeout{
    .handshake_timeout = websocket::stream_base::none(),
    .idle_timeout = websocket::stream_base::none(),
    .keep_alive_pings = false});
  stream_.set_option(websocket::stream_base::decorator(
    [](websocket::response_type& x) { x.set(http::field::server, "confab/" CONFAB_VERSION); }));
  // Beyond the limit a message is read and dropped, so that its error can name the limit; this ends endless ones.
  stream_.read_message_max(16 * limits().frame_bytes);
  stream_.control_callback([this](websocket::frame_type, beast::string_view) {
    seen_ms_ = io_thread::now_ms();
  });
  stream_.async_accept(request,
                       [self = self(), first = std::move(at_once)](error_code ec) mutable {
                         if (ec)
                           return self->cut();
                         self->opened(std::move(first));
                       });
}

void websocket_session::opened(std::optional<subscribe_command> at_once) {
  stream_.next_layer().open();
  open_ = true;
  port_ = thread_.shared().backend.connect({&owner(), id}, who_);
  say([&](std::string& out) {
    wire::add_hello(out, {who_.client, who_.user, limits().heartbeat_ms});
  });
  if (at_once)
    port_->tell(std::move(*at_once));
  if (reconnect_ms_ >= 0)
    say_goodbye();
  flush();
}

void websocket_session::read() {
  // A client that does not wait for answers, or does not read them, is not read further either.
  auto held_back = unanswered_ >= limits().unanswered_drafts ||
                   unanswered_bytes_ >= limits().unanswered_bytes ||
                   backlog() >= limits().backlog_bytes;
  if (held_back || closing_ms_ > 0) {
    watch_flushes_ = true;
    return;
  }
  reading_ = true;
  auto handler = [self = self()](error_code ec, std::size_t n) { self->on_read(ec, n); };
  if (held_ == 0)
    return stream_.async_read_some(asio::buffer(head_), std::move(handler));
  // Grows with what really comes, not with what a header claims.
  message_.resize(held_ + std::max<std::size_t>(4096, held_));
  stream_.async_read_some(asio::buffer(message_) + held_, std::move(handler));
}

void websocket_session::on_read(error_code ec, std::size_t n) {
  reading_ = false;
  if (ec)
    return cut();
  if (cut_)
    return;
  seen_ms_ = io_thread::now_ms();
  auto done = stream_.is_message_done();
  if (held_ == 0 && !dropping_ && done) {
    on_message({head_.data(), n});
  } else {
    if (held_ > 0)
      held_ += n;
    else if (!dropping_)
      held_ = message_.assign(head_.data(), n).size();
    if (held_ > limits().frame_bytes) {
      dropping_ = true;
      held_ = 0;
      std::string{}.swap(message_);
    }
    if (done && std::exchange(dropping_, false)) {
      refuse({}, std::nullopt,
             {model::code::frame_too_large,
              "frame: at most " + std::to_string(limits().frame_bytes) +
                " bytes are allowed (net.frame_bytes)"});
    } else if (done) {
      on_message({message_.data(), std::exchange(held_, 0)});
      // Freed, not just emptied (assignment keeps the capacity).
      std::string{}.swap(message_);
    }
  }
  if (!cut_ && !reading_)
    read();
}

void websocket_session::on_message(std::string_view text) {
  if (!stream_.got_text())
    return refuse({}, std::nullopt,
                  {model::code::bad_request, "frame: must be a text frame, is a binary one"});
  auto x = wire::parse_frame(text, who_, limits().wire);
  std::visit([this](auto& y) { handle(y); }, x);
}

void websocket_session::handle(publish_command& x) {
  if (reconnect_ms_ >= 0)
    return refuse(std::move(x.ref), std::move(x.name),
                  {model::code::draining, "the server is about to stop; publish again after "
                                          "connecting again"});
  ++unanswered_;
  unanswered_bytes_ += x.drafts->bytes();
  port_->tell(std::move(x));
}

void websocket_session::handle(wire::ack& x) {
  const auto* follower = find(x.name);
  if (!follower)
    return refuse(std::move(x.ref), x.name,
                  {model::code::not_subscribed, "ack: this connection does not follow " +
                                                  x.name.text()});
  if (x.at > follower->sub.at())
    return refuse(std::move(x.ref), x.name,
                  {model::code::bad_ack, "seq: " + std::to_string(x.at.value) +
                                           " was not sent yet; the last one is " +
                                           std::to_string(follower->sub.at().value)});
  port_->tell(ack_command{std::move(x.ref), std::move(x.name), follower->sub.epoch(), x.at});
}

void websocket_session::handle(wire::ping& x) {
  say([&](std::string& out) { wire::add_pong(out, x.ref); });
}

void websocket_session::handle(wire::refusal& x) {
  refuse(std::move(x.ref), std::move(x.name), std::move(x.why));
}

void websocket_session::refuse(std::string ref, std::optional<model::conversation_name> name,
                               model::error why) {
  say([&](std::string& out) {
    wire::add_failed(out, {.ref = std::move(ref), .name = std::move(name), .why = std::move(why)});
  });
}

void websocket_session::take(event& x) {
  if (cut_)
    return;
  if (auto* e = std::get_if<subscribed_event>(&x)) {
    say([&](std::string& out) { wire::add_subscribed(out, *e); });
    follow(*e, wire::websocket_format());
  } else if (auto* u = std::get_if<unsubscribed_event>(&x)) {
    unfollow(u->name);
    say([&](std::string& out) { wire::add_unsubscribed(out, *u); });
  } else if (auto* p = std::get_if<published_event>(&x)) {
    say([&](std::string& out) { wire::add_published(out, *p); });
    answered(p->bytes);
  } else if (auto* a = std::get_if<acked_event>(&x)) {
    say([&](std::string& out) { wire::add_acked(out, *a); });
  } else if (auto* f = std::get_if<failed_event>(&x)) {
    if (f->ends_subscription)
      unfollow(*f->name);
    say([&](std::string& out) { wire::add_failed(out, *f); });
    if (f->bytes > 0)
      answered(f->bytes);
  }
  // The other events answer HTTP requests only.
}

void websocket_session::answered(std::size_t bytes) {
  --unanswered_;
  unanswered_bytes_ -= bytes;
  if (unanswered_ == 0 && reconnect_ms_ >= 0)
    say_goodbye();
}

void websocket_session::failed(model::follower& x, const model::error& why) {
  refuse({}, *x.from->name(), why);
  end_subscription(x);
}

std::int64_t websocket_session::due(std::int64_t now_ms) {
  if (cut_)
    return 0;
  if (closing_ms_ > 0 || !open_) {
    auto deadline = open_ ? closing_ms_ + close_ms : seen_ms_ + limits().handshake_ms;
    if (now_ms >= deadline) {
      cut();
      return 0;
    }
    return deadline;
  }
  // A blocked socket is a slow reader, not a dead one: its pings wait too. TCP finds out if it is dead.
  if (!blocked() && now_ms - seen_ms_ >= limits().idle_ms) {
    cut();
    return 0;
  }
  if (!blocked() && now_ms - std::max(seen_ms_, pinged_ms_) >= limits().heartbeat_ms) {
    pinged_ms_ = now_ms;
    std::string frame;
    wire::add_frame(frame, {}, 9);
    post(frame);
    owner().touch(*this);
  }
  return std::max(seen_ms_, pinged_ms_) + limits().heartbeat_ms;
}

void websocket_session::drain(std::int64_t reconnect_ms) {
  if (cut_ || reconnect_ms_ >= 0)
    return;
  reconnect_ms_ = reconnect_ms;
  if (open_ && unanswered_ == 0)
    say_goodbye();
}

void websocket_session::say_goodbye() {
  if (closing_ms_ > 0)
    return;
  say([&](std::string& out) { wire::add_goodbye(out, "draining", reconnect_ms_); });
  close({websocket::close_code::service_restart, "draining"});
}

void websocket_session::close(websocket::close_reason why) {
  closing_ms_ = io_thread::now_ms();
  stop_entries();
  stream_.async_close(why, [self = self()](error_code) { self->cut(); });
}

} // namespace

void serve_websocket(tcp_socket socket, io_thread& thread, admission place,
                     const http_request& request, websocket_options options) {
  auto session = std::make_shared<websocket_session>(std::move(socket), thread, std::move(place),
                                                     std::move(options.who));
  thread.hub().add(session);
  session->start(request, std::move(options.subscribe));
}

} // namespace confab::net
