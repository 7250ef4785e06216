#include "net/http_session.hpp"

#include "net/event_session.hpp"
#include "net/http_route.hpp"
#include "net/page_index.hpp"
#include "net/websocket_session.hpp"
#include "net/wire/formats.hpp"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

namespace confab::net {

namespace beast = boost::beast;
namespace http = beast::http;

namespace {

constexpr std::size_t header_bytes_max = 16 * 1024;

using response = http::response<http::string_body>;

class http_session final : public session {
public:
  http_session(tcp_socket socket, io_thread& thread, admission place)
    : socket_{std::move(socket)}, thread_{thread}, place_{std::move(place)} {}

  void read();
  void take(event& x) override;
  std::int64_t due(std::int64_t now_ms) override;
  void drain(std::int64_t) override {
    draining_ = true;
    if (!busy_)
      cut();
  }
  void cut() override;

private:
  void on_read(error_code ec);

  // Each carries out one decision of `route_of`.
  void carry_out(ask_backend& x);
  void carry_out(answer_page&) {
    answer(200, "text/html; charset=utf-8", std::string{page_index});
  }
  void carry_out(answer_health&) { answer(200, "application/json", R"({"status":"ok"})"); }
  void carry_out(answer_readiness&);
  void carry_out(upgrade_to_websocket& x);
  void carry_out(follow_as_events& x);
  void carry_out(refuse_request& x) { refuse(x.why, x.status, x.allow); }

  void answer(unsigned status, std::string_view type, std::string body,
              std::string_view allow = {});
  void refuse(const model::error& why, unsigned status = 0, std::string_view allow = {});
  void write(response x);
  /// Reads what the peer still sends, until it ends or the deadline: closing at once would reset the connection, and
  /// the answer with it.
  void linger();
  /// The socket goes on in another session; this one ends without closing it.
  tcp_socket hand_over();

  [[nodiscard]] const session_limits& limits() const { return thread_.shared().limits; }
  std::shared_ptr<http_session> self() {
    return std::static_pointer_cast<http_session>(shared_from_this());
  }

  tcp_socket socket_;
  io_thread& thread_;
  admission place_;
  beast::flat_buffer buffer_{header_bytes_max + 64 * 1024};
  std::optional<http::request_parser<http::string_body>> parser_;
  http_request request_;
  std::unique_ptr<client_port> port_;
  /// Since when the request in progress, or the silence before it, lasts.
  std::int64_t since_ms_ = io_thread::now_ms();
  bool busy_ = false; ///< A request is being answered.
  bool whole_ = false; ///< All of it was read, so that another one may follow.
  bool array_ = false;
  bool kept_alive_ = false; ///< Waits for a further request, which may take its time.
  bool draining_ = false;
  bool cut_ = false;
};

void http_session::read() {
  since_ms_ = io_thread::now_ms();
  parser_.emplace();
  parser_->header_limit(header_bytes_max);
  parser_->body_limit(limits().frame_bytes);
  http::async_read(socket_, buffer_, *parser_,
                   [self = self()](error_code ec, std::size_t) { self->on_read(ec); });
}

void http_session::on_read(error_code ec) {
  if (cut_)
    return;
  busy_ = true;
  whole_ = !ec;
  if (ec == http::error::body_limit)
    return refuse({model::code::frame_too_large, "body: at most " +
                                                   std::to_string(limits().frame_bytes) +
                                                   " bytes are allowed (net.frame_bytes)"},
                  413);
  if (ec == http::error::header_limit || ec == http::error::buffer_overflow)
    return refuse({model::code::frame_too_large, "header: at most 16384 bytes are allowed"}, 431);
  if (ec == http::error::end_of_stream || ec == http::error::partial_message)
    return cut();
  static const auto& parser_errors = make_error_code(http::error::bad_method).category();
  if (ec.category() == parser_errors)
    return refuse({model::code::bad_request, "request: is not HTTP/1.1: " + ec.message()}, 400);
  if (ec)
    return cut();
  request_ = parser_->release();
  auto decision = route_of(request_, limits());
  std::visit([this](auto& x) { carry_out(x); }, decision);
}

void http_session::carry_out(ask_backend& x) {
  array_ = x.array;
  if (!port_)
    port_ = thread_.shared().backend.connect({&thread_.hub(), id}, {"anonymous", made_up_client()});
  port_->tell(std::move(x.what));
}

void http_session::carry_out(answer_readiness&) {
  auto state = thread_.shared().draining ? readiness{false, "draining"}
                                         : thread_.shared().backend.ready();
  if (state.ready)
    return answer(200, "application/json", R"({"ready":true})");
  refuse({model::code::overloaded, "not ready: " + state.why}, 503);
}

void http_session::carry_out(upgrade_to_websocket& x) {
  if (buffer_.size() > 0)
    return refuse({model::code::bad_request,
                   "handshake: frames came before its answer (RFC 6455 section 4.1)"});
  auto request = std::move(request_);
  serve_websocket(hand_over(), thread_, std::move(place_), request, std::move(x.options));
}

void http_session::carry_out(follow_as_events& x) {
  serve_events(hand_over(), thread_, std::move(place_), std::move(x.name), x.from);
}

void http_session::take(event& x) {
  if (cut_ || !busy_)
    return;
  if (auto* p = std::get_if<published_event>(&x))
    answer(p->got.duplicate ? 200 : 201, "application/json", wire::receipt_body(p->got, array_));
  else if (auto* g = std::get_if<page_event>(&x))
    answer(200, "application/json", wire::page_body(*g));
  else if (auto* i = std::get_if<info_event>(&x))
    answer(200, "application/json", wire::info_body(*i));
  else if (std::get_if<deleted_event>(&x))
    answer(204, {}, {});
  else if (auto* f = std::get_if<failed_event>(&x))
    refuse(f->why);
}

void http_session::answer(unsigned status, std::string_view type, std::string body,
                          std::string_view allow) {
  response x{static_cast<http::status>(status), request_.version() == 10 ? 10u : 11u};
  x.set(http::field::server, "confab/" CONFAB_VERSION);
  x.set(http::field::cache_control, "no-store");
  x.set("X-Content-Type-Options", "nosniff");
  if (!type.empty())
    x.set(http::field::content_type, beast::string_view{type.data(), type.size()});
  if (status == 426) { // RFC 9110 §15.5.22, RFC 6455 §4.4
    x.set(http::field::upgrade, "websocket");
    x.set(http::field::connection, "upgrade");
    x.set(http::field::sec_websocket_version, "13");
  }
  if (!allow.empty())
    x.set(http::field::allow, beast::string_view{allow.data(), allow.size()});
  x.keep_alive(whole_ && request_.keep_alive() && !draining_);
  auto bytes = body.size();
  if (!whole_ || request_.method() != http::verb::head)
    x.body() = std::move(body);
  if (status != 204)
    x.content_length(bytes);
  write(std::move(x));
}

void http_session::refuse(const model::error& why, unsigned status, std::string_view allow) {
  if (status == 0)
    status = wire::status_of(why.what);
  auto title = http::obsolete_reason(static_cast<http::status>(status));
  answer(status, "application/problem+json",
         wire::problem_body(status, {title.data(), title.size()}, why), allow);
}

void http_session::write(response x) {
  auto held = std::make_shared<response>(std::move(x));
  http::async_write(socket_, *held, [self = self(), held](error_code ec, std::size_t) {
    if (ec || self->cut_)
      return self->cut();
    self->busy_ = false;
    self->kept_alive_ = held->keep_alive() && !self->draining_;
    if (self->kept_alive_)
      return self->read();
    error_code ignored; // the peer may have gone already
    self->socket_.shutdown(tcp_socket::shutdown_send, ignored);
    self->since_ms_ = io_thread::now_ms();
    self->linger();
  });
}

void http_session::linger() {
  buffer_.clear();
  socket_.async_read_some(buffer_.prepare(4096), [self = self()](error_code ec, std::size_t) {
    if (ec)
      self->cut();
    else if (!self->cut_)
      self->linger();
  });
}

tcp_socket http_session::hand_over() {
  cut_ = true;
  thread_.hub().remove(id);
  return std::move(socket_);
}

void http_session::cut() {
  if (std::exchange(cut_, true))
    return;
  auto guard = shared_from_this();
  error_code ignored; // closing a socket that is closed already is no error here
  socket_.close(ignored);
  port_.reset();
  thread_.hub().remove(id);
}

std::int64_t http_session::due(std::int64_t now_ms) {
  if (cut_)
    return 0;
  // While a request is answered, the publish deadline bounds the time.
  auto deadline = since_ms_ + (kept_alive_ ? limits().idle_ms : limits().handshake_ms);
  if (!busy_ && now_ms >= deadline) {
    cut();
    return 0;
  }
  return busy_ ? now_ms + limits().handshake_ms : deadline;
}

} // namespace

void serve_http(tcp_socket socket, io_thread& thread, admission place) {
  auto session = std::make_shared<http_session>(std::move(socket), thread, std::move(place));
  thread.hub().add(session);
  session->read();
}

} // namespace confab::net
