#include "net/websocket_session.hpp"

#include "net/socket_member.hpp"
#include "net/wire/formats.hpp"
#include "net/wire/frame_reader.hpp"
#include "net/wire/handshake.hpp"

#include <cerrno>
#include <sys/socket.h>

namespace confab::net {

namespace {

namespace http = boost::beast::http;

/// How long the peer has to take our close frame, to answer it and to close its side.
constexpr std::int64_t close_ms = 5000;

class websocket_session final : public socket_member {
public:
  websocket_session(tcp_socket socket, io_thread& thread, admission place, client_identity who)
    : socket_member{std::move(socket), thread, std::move(place)}, who_{std::move(who)} {}

  void start(const http_request& request, std::optional<subscribe_command> at_once);

  void take(event& x) override;
  std::int64_t due(std::int64_t now_ms) override;
  void drain(std::int64_t reconnect_ms) override;
  void failed(model::follower& x, const model::error& why) override;

private:
  /// Takes what the socket has, within one turn, and what was kept of earlier turns.
  void read(bool readable);
  /// Adds what has come to `bytes`, which begin `buffer`. @returns whether the connection goes on.
  bool receive(std::span<char> buffer, std::span<char>& bytes);
  void take(const wire::frame_event& x);
  void take_message(std::string_view text);
  /// A client that does not wait for answers, or does not read them, is not read further either.
  [[nodiscard]] bool held_back() noexcept;
  void wait_readable();
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
  /// Queues the close frame, if none is, and gives the peer its time.
  void close(std::uint16_t code, std::string_view reason = {});
  void flushed() override;

  [[nodiscard]] const session_limits& limits() noexcept { return thread_.shared().limits; }
  std::shared_ptr<websocket_session> self() {
    return std::static_pointer_cast<websocket_session>(shared_from_this());
  }

  client_identity who_;
  wire::frame_reader reader_;
  std::size_t unanswered_ = 0;
  std::size_t unanswered_bytes_ = 0;
  std::int64_t seen_ms_ = io_thread::now_ms();
  std::int64_t pinged_ms_ = seen_ms_;
  std::int64_t closing_ms_ = 0;
  std::int64_t reconnect_ms_ = -1;
  bool waiting_ = false; ///< For the socket to be readable.
  bool shut_ = false;    ///< Our side of the connection is closed.
};

void websocket_session::start(const http_request& request,
                              std::optional<subscribe_command> at_once) {
  auto key = request[http::field::sec_websocket_key];
  std::string answer;
  wire::add_switching_protocols(answer, {key.data(), key.size()});
  wire::add_hello(answer, {who_.client, who_.user, limits().heartbeat_ms});
  post(answer);
  port_ = thread_.shared().backend.connect({&owner(), id}, who_);
  if (at_once)
    port_->tell(std::move(*at_once));
  flush();
}

void websocket_session::flushed() {
  if (!cut_ && !waiting_)
    read(false);
  auto closed = closing_ms_ > 0 && reader_.ended() && control_sent() && backlog() == 0;
  if (!cut_ && closed && !std::exchange(shut_, true)) {
    error_code ignored; // the peer may have gone already
    socket_.shutdown(tcp_socket::shutdown_send, ignored);
  }
  watch_flushes_ = !waiting_ || (closing_ms_ > 0 && !shut_);
}

bool websocket_session::held_back() noexcept {
  return closing_ms_ == 0 &&
         (unanswered_ >= limits().unanswered_drafts ||
          unanswered_bytes_ >= limits().unanswered_bytes || backlog() >= limits().backlog_bytes);
}

void websocket_session::wait_readable() {
  waiting_ = true;
  // The handler owns the session: a wait that has already succeeded must not outlive it.
  socket_.async_wait(tcp_socket::wait_read, [self = self()](error_code ec) {
    self->waiting_ = false;
    if (ec)
      self->cut();
    else if (!self->cut_)
      self->read(true);
  });
}

void websocket_session::read(bool readable) {
  auto buffer = thread_.scratch();
  auto bytes = reader_.resume(buffer);
  if (readable && !receive(buffer, bytes))
    return cut();
  while (!cut_ && !held_back()) {
    auto x = reader_.next(bytes, limits().frame_bytes);
    if (x.what == wire::frame_event::kind::none)
      break;
    take(x);
  }
  reader_.keep(bytes);
  if (cut_)
    return;
  // What is left in the socket makes it readable again: others have their turn in between.
  if (held_back())
    watch_flushes_ = true;
  else
    wait_readable();
}

bool websocket_session::receive(std::span<char> buffer, std::span<char>& bytes) {
  auto room = buffer.subspan(bytes.size());
  // Only a session that is held back keeps more than the beginning of a frame, and it does not wait
  // to be readable.
  BOOST_ASSERT(!room.empty());
  ssize_t n;
  do
    n = ::recv(socket_.native_handle(), room.data(), room.size(), MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  if (n < 0)
    return errno == EAGAIN || errno == EWOULDBLOCK;
  if (n > 0)
    seen_ms_ = io_thread::now_ms();
  // What comes after the peer's close frame, or after an error, is not looked at.
  bytes = buffer.first(reader_.ended() ? 0 : bytes.size() + static_cast<std::size_t>(n));
  return n > 0;
}

void websocket_session::take(const wire::frame_event& x) {
  using kind = wire::frame_event::kind;
  switch (x.what) {
  case kind::none:
  case kind::pong:
    return;
  case kind::text:
    return take_message(x.payload);
  case kind::binary:
    return refuse({}, std::nullopt,
                  {model::code::bad_request, "frame: must be a text frame, is a binary one"});
  case kind::too_large:
    return refuse({}, std::nullopt,
                  {model::code::frame_too_large, "frame: at most " +
                                                     std::to_string(limits().frame_bytes) +
                                                     " bytes are allowed (net.frame_bytes)"});
  case kind::ping: {
    std::string pong;
    wire::add_frame(pong, x.payload, 10);
    control(pong, false);
    return owner().touch(*this);
  }
  case kind::close:
  case kind::broken:
    return close(x.code);
  }
}

void websocket_session::take_message(std::string_view text) {
  // After the goodbye there is nobody to answer.
  if (closing_ms_ > 0)
    return;
  auto x = wire::parse_frame(text, who_, limits().wire);
  std::visit([this](auto& y) { handle(y); }, x);
}

void websocket_session::handle(publish_command& x) {
  if (reconnect_ms_ >= 0)
    return refuse(std::move(x.ref), std::move(x.name),
                  {model::code::draining, "this server sends its clients away; publish again after "
                                          "connecting again"});
  ++unanswered_;
  unanswered_bytes_ += x.drafts->bytes();
  port_->tell(std::move(x));
}

void websocket_session::handle(wire::ack& x) {
  const auto* follower = find(x.name);
  if (!follower)
    return refuse(
        std::move(x.ref), x.name,
        {model::code::not_subscribed, "ack: this connection does not follow " + x.name.text()});
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
  count(why);
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
    count(f->why);
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
  if (closing_ms_ > 0) {
    auto deadline = closing_ms_ + close_ms;
    if (now_ms >= deadline) {
      cut();
      return 0;
    }
    return deadline;
  }
  // A blocked socket is a slow reader, not a dead one: its pings wait too. TCP finds out if it is
  // dead.
  if (!blocked() && now_ms - seen_ms_ >= limits().idle_ms) {
    owner().count().silent.add();
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
  if (unanswered_ == 0)
    say_goodbye();
}

void websocket_session::say_goodbye() {
  if (closing_ms_ > 0)
    return;
  say([&](std::string& out) { wire::add_goodbye(out, "draining", reconnect_ms_); });
  close(static_cast<std::uint16_t>(wire::close_code::service_restart), "draining");
}

void websocket_session::close(std::uint16_t code, std::string_view reason) {
  if (closing_ms_ == 0)
    closing_ms_ = io_thread::now_ms();
  stop_entries();
  std::string frame;
  wire::add_close(frame, code, reason);
  control(frame, true);
  watch_flushes_ = true;
  owner().touch(*this);
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
