#include "net/http_session.hpp"

#include "net/event_session.hpp"
#include "net/page_index.hpp"
#include "net/request_target.hpp"
#include "net/websocket_session.hpp"
#include "net/wire/formats.hpp"

#include <boost/asio/dispatch.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include <charconv>
#include <random>

namespace confab::net {

namespace beast = boost::beast;
namespace http = beast::http;

namespace {

constexpr std::size_t header_bytes_max = 16 * 1024;
constexpr std::size_t page_limit_default = 100;
constexpr std::size_t client_bytes_max = 128;
constexpr std::size_t idempotency_key_bytes_max = 120;

using request = http::request<http::string_body>;
using response = http::response<http::string_body>;

std::string_view view(beast::string_view x) {
  return {x.data(), x.size()};
}

/// A client id for a connection that named none: nobody else's, and not found again.
std::string made_up_client() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  char text[32];
  auto [end, failure] = std::to_chars(text, text + sizeof text, random() | (1ull << 63), 36);
  return '~' + std::string{text, end};
}

/// FNV-1a: tells another body under the same idempotency key; not a defence against forgery.
std::uint64_t fingerprint(std::string_view text) noexcept {
  std::uint64_t hash = 14695981039346656037ull;
  for (unsigned char c : text)
    hash = (hash ^ c) * 1099511628211ull;
  return hash;
}

model::error bad(model::code what, std::string detail) {
  return {what, std::move(detail)};
}

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
  void route();
  void route_conversation(const request_target& target);
  void get_entries(const request_target& target, model::conversation_name name);
  void post_entries(model::conversation_name name);
  void patch(const model::conversation_name& name);
  void upgrade(const request_target& target);
  void follow_events(const request_target& target, model::conversation_name name);

  void ask(command x);
  void answer(unsigned status, std::string_view type, std::string body,
              std::string_view allow = {});
  void refuse(const model::error& why, unsigned status = 0, std::string_view allow = {});
  void method_refused(std::string_view allow) {
    refuse(bad(model::code::unsupported, "method: only " + std::string{allow} + " here"), 405,
           allow);
  }
  void write(response x);
  /// Reads what the peer still sends, until it ends or the deadline: closing at once would reset the connection, and the
  /// answer with it.
  void linger();
  /// The socket goes on in another session; this one ends without closing it.
  tcp_socket hand_over();

  [[nodiscard]] bool foreign_origin() const;
  [[nodiscard]] std::string_view header(http::field x) const { return view(request_[x]); }
  std::shared_ptr<http_session> self() {
    return std::static_pointer_cast<http_session>(shared_from_this());
  }

  tcp_socket socket_;
  io_thread& thread_;
  admission place_;
  beast::flat_buffer buffer_{header_bytes_max + 64 * 1024};
  std::optional<http::request_parser<http::string_body>> parser_;
  request request_;
  std::unique_ptr<client_port> port_;
  /// Since when the request in progress, or the silence before it, lasts.
  std::int64_t since_ms_ = io_thread::now_ms();
  bool busy_ = false; ///< A request is being answered.
  bool array_ = false;
  bool draining_ = false;
  bool cut_ = false;
};

void http_session::read() {
  since_ms_ = io_thread::now_ms();
  parser_.emplace();
  parser_->header_limit(header_bytes_max);
  parser_->body_limit(thread_.shared().limits.frame_bytes);
  http::async_read(socket_, buffer_, *parser_,
                   [self = self()](error_code ec, std::size_t) { self->on_read(ec); });
}

void http_session::on_read(error_code ec) {
  if (cut_)
    return;
  busy_ = true;
  if (ec == http::error::body_limit)
    return refuse(bad(model::code::frame_too_large,
                      "body: at most " + std::to_string(thread_.shared().limits.frame_bytes) +
                        " bytes are allowed (net.frame_bytes)"),
                  413);
  if (ec == http::error::header_limit)
    return refuse(bad(model::code::frame_too_large, "header: at most 16384 bytes are allowed"),
                  431);
  if (ec.category() == http::make_error_code(http::error::bad_method).category() &&
      ec != http::error::end_of_stream && ec != http::error::partial_message)
    return refuse(bad(model::code::bad_request, "request: is not HTTP/1.1: " + ec.message()), 400);
  if (ec)
    return cut();
  request_ = parser_->release();
  route();
}

void http_session::route() {
  auto target = parse_target(view(request_.target()));
  if (!target)
    return refuse(bad(model::code::bad_request, "path: is not an absolute path, or has a broken "
                                                "percent escape"));
  auto method = request_.method();
  auto reads = method == http::verb::get || method == http::verb::head;
  if (!reads && foreign_origin())
    return refuse(bad(model::code::bad_request,
                      "Origin: pages of this origin may not write here (net.origins)"),
                  403);
  const auto& path = target->segments;
  if (path.size() >= 2 && path[0] == "v1" && path[1] == "conversations")
    return route_conversation(*target);
  if (path.size() == 2 && path[0] == "v1" && path[1] == "ws")
    return upgrade(*target);
  if (path.size() > 1)
    return refuse(bad(model::code::not_found, "path: there is nothing here"), 404);
  if (!reads)
    return method_refused("GET, HEAD");
  if (path.empty())
    return answer(200, "text/html; charset=utf-8", std::string{page_index});
  if (path[0] == "healthz")
    return answer(200, "application/json", R"({"status":"ok"})");
  if (path[0] == "readyz") {
    auto state = thread_.shared().draining ? readiness{false, "draining"}
                                           : thread_.shared().backend.ready();
    if (state.ready)
      return answer(200, "application/json", R"({"ready":true})");
    return refuse(bad(model::code::overloaded, "not ready: " + state.why), 503);
  }
  refuse(bad(model::code::not_found, "path: there is nothing here"), 404);
}

void http_session::route_conversation(const request_target& target) {
  const auto& path = target.segments;
  if (path.size() < 3 || path.size() > 4)
    return refuse(bad(model::code::not_found, "path: /v1/conversations/{name}, "
                                              "/v1/conversations/{name}/entries or "
                                              "/v1/conversations/{name}/events is needed; a slash "
                                              "in a name is written %2F"),
                  404);
  auto name = model::conversation_name::parse(path[2]);
  if (!name)
    return refuse(name.why());
  auto method = request_.method();
  auto reads = method == http::verb::get || method == http::verb::head;
  if (path.size() == 3) {
    if (reads)
      return ask(info_command{*name});
    if (method == http::verb::delete_)
      return ask(delete_command{*name});
    if (method == http::verb::patch)
      return patch(*name);
    return method_refused("GET, HEAD, PATCH, DELETE");
  }
  if (path[3] == "entries") {
    if (reads)
      return get_entries(target, std::move(*name));
    if (method == http::verb::post)
      return post_entries(std::move(*name));
    return method_refused("GET, HEAD, POST");
  }
  if (path[3] == "events") {
    if (method == http::verb::get)
      return follow_events(target, std::move(*name));
    return method_refused("GET");
  }
  refuse(bad(model::code::not_found, "path: only entries and events are below a conversation"),
         404);
}

void http_session::get_entries(const request_target& target, model::conversation_name name) {
  auto from = model::parse_after(target.parameter("after").value_or("start"));
  if (!from)
    return refuse(from.why());
  if (from->from.what == model::after::form::saved)
    return refuse(bad(model::code::bad_after, "after: \"saved\" is for the WebSocket, whose "
                                              "clients have an id"));
  std::size_t limit = page_limit_default;
  if (auto text = target.parameter("limit")) {
    auto [end, failure] = std::from_chars(text->data(), text->data() + text->size(), limit);
    if (failure != std::errc{} || end != text->data() + text->size() || limit == 0 ||
        limit > model::page_entries_max)
      return refuse(bad(model::code::bad_request, "limit: must be a number from 1 to 1000"));
  }
  ask(page_command{std::move(name), *from, limit});
}

void http_session::post_entries(model::conversation_name name) {
  auto type = header(http::field::content_type);
  type = type.substr(0, type.find(';'));
  // curl sends this type when it is not told another; the body is JSON all the same, or refused as not being it.
  if (!type.empty() && !beast::iequals(type, "application/json") &&
      !beast::iequals(type, "application/x-www-form-urlencoded"))
    return refuse(bad(model::code::unsupported, "Content-Type: must be application/json"), 415);
  auto drafts = wire::parse_drafts(request_.body(), {}, thread_.shared().limits.wire, array_);
  if (!drafts)
    return refuse(drafts.why());
  if (auto key = view(request_["Idempotency-Key"]); !key.empty()) {
    if (key.size() > idempotency_key_bytes_max)
      return refuse(bad(model::code::bad_producer, "Idempotency-Key: at most 120 bytes"));
    if (!drafts->producer.empty())
      return refuse(bad(model::code::bad_producer,
                        "Idempotency-Key: not together with a producer, which is one already"));
    drafts->producer = '=' + std::string{key};
    drafts->producer_seq = 1;
    drafts->fingerprint = fingerprint(request_.body());
  }
  ask(publish_command{{}, std::move(name), std::make_shared<model::batch>(std::move(*drafts))});
}

void http_session::patch(const model::conversation_name& name) {
  auto x = wire::json_object::parse(request_.body(), "body");
  if (!x)
    return refuse(x.why());
  auto closed = x->truth("closed");
  if (!closed)
    return refuse(closed.why());
  if (!closed->value_or(false))
    return refuse(bad(model::code::bad_request,
                      "closed: must be true; a closed conversation cannot be opened again"));
  ask(close_command{name});
}

void http_session::follow_events(const request_target& target, model::conversation_name name) {
  auto last = view(request_["Last-Event-ID"]);
  auto text = !last.empty() ? last : target.parameter("after").value_or("now");
  auto from = model::parse_after(text);
  if (!from)
    return refuse(from.why());
  if (from->from.what == model::after::form::saved)
    return refuse(bad(model::code::bad_after, "after: \"saved\" is for the WebSocket, whose "
                                              "clients have an id"));
  serve_events(hand_over(), thread_, std::move(place_), std::move(name), *from);
}

void http_session::upgrade(const request_target& target) {
  if (!beast::websocket::is_upgrade(request_))
    return refuse(bad(model::code::bad_request, "upgrade: this path takes WebSocket handshakes"),
                  426);
  if (foreign_origin())
    return refuse(bad(model::code::bad_request,
                      "Origin: pages of this origin may not connect (net.origins)"),
                  403);
  if (buffer_.size() > 0)
    return refuse(bad(model::code::bad_request,
                      "handshake: frames came before its answer (RFC 6455 section 4.1)"));
  websocket_options options;
  auto client = target.parameter("client");
  if (client && (client->empty() || client->size() > client_bytes_max || client->front() == '~' ||
                 !wire::valid_json([&] {
                   std::string quoted;
                   wire::add_string(quoted, *client);
                   return quoted;
                 }())))
    return refuse(bad(model::code::bad_request,
                      "client: must have 1 to 128 bytes of UTF-8 and not begin with '~'"));
  options.who.client = client ? std::string{*client} : made_up_client();
  if (auto text = target.parameter("conversation")) {
    auto name = model::conversation_name::parse(*text);
    if (!name)
      return refuse(name.why());
    options.subscribe.emplace(subscribe_command{{}, std::move(*name), std::nullopt});
    if (auto after = target.parameter("after")) {
      auto from = model::parse_after(*after);
      if (!from)
        return refuse(from.why());
      options.subscribe->from = *from;
    }
  }
  auto held = std::move(request_);
  serve_websocket(hand_over(), thread_, std::move(place_), held, std::move(options));
}

void http_session::ask(command x) {
  if (!port_)
    port_ = thread_.shared().backend.connect({&thread_.hub(), id}, {"anonymous", made_up_client()});
  port_->tell(std::move(x));
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
  if (!allow.empty())
    x.set(http::field::allow, beast::string_view{allow.data(), allow.size()});
  auto head = request_.method() == http::verb::head;
  x.keep_alive(parser_ && parser_->is_done() && request_.keep_alive() && !draining_);
  auto bytes = body.size();
  if (!head)
    x.body() = std::move(body);
  if (status != 204)
    x.content_length(bytes);
  write(std::move(x));
}

void http_session::refuse(const model::error& why, unsigned status, std::string_view allow) {
  if (status == 0)
    status = wire::status_of(why.what);
  auto title = http::obsolete_reason(static_cast<http::status>(status));
  answer(status, "application/problem+json", wire::problem_body(status, view(title), why), allow);
}

void http_session::write(response x) {
  auto held = std::make_shared<response>(std::move(x));
  http::async_write(socket_, *held, [self = self(), held](error_code ec, std::size_t) {
    if (ec || self->cut_)
      return self->cut();
    self->busy_ = false;
    if (held->keep_alive() && !self->draining_)
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
  auto deadline = since_ms_ + thread_.shared().limits.handshake_ms;
  if (!busy_ && now_ms >= deadline) {
    cut();
    return 0;
  }
  return busy_ ? now_ms + thread_.shared().limits.handshake_ms : deadline;
}

bool http_session::foreign_origin() const {
  auto origin = header(http::field::origin);
  if (origin.empty())
    return false;
  for (const auto& x : thread_.shared().limits.origins)
    if (x == "*" || beast::iequals(x, origin))
      return false;
  auto host = origin.find("://");
  return host == std::string_view::npos ||
         !beast::iequals(origin.substr(host + 3), header(http::field::host));
}

} // namespace

void serve_http(tcp_socket socket, io_thread& thread, admission place) {
  auto session = std::make_shared<http_session>(std::move(socket), thread, std::move(place));
  thread.hub().add(session);
  session->read();
}

} // namespace confab::net
