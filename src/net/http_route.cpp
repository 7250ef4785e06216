#include "net/http_route.hpp"

#include "net/request_target.hpp"
#include "net/wire/command.hpp"
#include "net/wire/handshake.hpp"
#include "net/wire/utf8.hpp"

#include <boost/beast/core/string.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include <charconv>
#include <random>

namespace confab::net {

namespace beast = boost::beast;
namespace http = beast::http;

namespace {

constexpr std::size_t page_limit_default = 100;
constexpr std::size_t client_bytes_max = 128;
constexpr std::size_t idempotency_key_bytes_max = 120;

std::string_view view(beast::string_view x) {
  return {x.data(), x.size()};
}

refuse_request refused(model::code what, std::string detail, unsigned status = 0) {
  return {{what, std::move(detail)}, status};
}

refuse_request not_found(std::string detail) {
  return refused(model::code::not_found, std::move(detail), 404);
}

refuse_request method_refused(std::string_view allow) {
  return {{model::code::unsupported, "method: only " + std::string{allow} + " here"}, 405, allow};
}

/// FNV-1a: tells another body under the same idempotency key; not a defence against forgery.
std::uint64_t fingerprint(std::string_view text) noexcept {
  std::uint64_t hash = 14695981039346656037ull;
  for (unsigned char c : text)
    hash = (hash ^ c) * 1099511628211ull;
  return hash;
}

bool reads(const http_request& x) {
  return x.method() == http::verb::get || x.method() == http::verb::head;
}

/// A page of another site, opened in the same browser, must not write here.
bool foreign_origin(const http_request& x, const session_limits& limits) {
  auto origin = view(x[http::field::origin]);
  if (origin.empty())
    return false;
  for (const auto& allowed : limits.origins)
    if (allowed == "*" || beast::iequals(allowed, origin))
      return false;
  auto host = origin.find("://");
  return host == std::string_view::npos ||
         !beast::iequals(origin.substr(host + 3), view(x[http::field::host]));
}

/// `after` of a request whose connection has no client id, so no cursor.
model::result<model::resume_request> resume_without_cursor(std::string_view text) {
  auto from = model::parse_after(text);
  if (from && from->from.what == model::after::form::saved)
    return model::error{model::code::bad_after, "after: \"saved\" is for the WebSocket, whose "
                                                "clients have an id"};
  return from;
}

http_route get_entries(const request_target& target, model::conversation_name name) {
  auto from = resume_without_cursor(target.parameter("after").value_or("start"));
  if (!from)
    return refuse_request{from.why()};
  std::size_t limit = page_limit_default;
  if (auto text = target.parameter("limit")) {
    auto [end, failure] = std::from_chars(text->data(), text->data() + text->size(), limit);
    if (failure != std::errc{} || end != text->data() + text->size() || limit == 0 ||
        limit > model::page_entries_max)
      return refused(model::code::bad_request, "limit: must be a number from 1 to 1000");
  }
  return ask_backend{page_command{std::move(name), *from, limit}};
}

http_route post_entries(const http_request& x, model::conversation_name name,
                        const session_limits& limits) {
  auto type = view(x[http::field::content_type]);
  type = type.substr(0, type.find(';'));
  // curl sends the second one when it is not told another; the body is JSON all the same, or refused as not being it.
  if (!type.empty() && !beast::iequals(type, "application/json") &&
      !beast::iequals(type, "application/x-www-form-urlencoded"))
    return refused(model::code::unsupported, "Content-Type: must be application/json", 415);
  bool array = false;
  auto drafts = wire::parse_drafts(x.body(), {}, limits.wire, array);
  if (!drafts)
    return refuse_request{drafts.why()};
  if (auto key = view(x["Idempotency-Key"]); !key.empty()) {
    if (key.size() > idempotency_key_bytes_max)
      return refused(model::code::bad_producer,
                     "Idempotency-Key: has " + std::to_string(key.size()) +
                       " bytes; at most 120 are allowed");
    if (!drafts->producer.empty())
      return refused(model::code::bad_producer,
                     "Idempotency-Key: not together with a producer, which is one already");
    drafts->producer = '=' + std::string{key};
    drafts->producer_seq = 1;
    drafts->fingerprint = fingerprint(x.body());
  }
  return ask_backend{publish_command{{}, std::move(name),
                                     std::make_shared<model::batch>(std::move(*drafts))},
                     array};
}

http_route patch(const http_request& x, model::conversation_name name) {
  auto body = wire::json_object::parse(x.body(), "body");
  if (!body)
    return refuse_request{body.why()};
  auto closed = body->truth("closed");
  if (!closed)
    return refuse_request{closed.why()};
  if (!closed->value_or(false))
    return refused(model::code::bad_request,
                   "closed: must be true; a closed conversation cannot be opened again");
  return ask_backend{close_command{std::move(name)}};
}

http_route get_events(const http_request& x, const request_target& target,
                      model::conversation_name name) {
  auto last = view(x["Last-Event-ID"]);
  auto from =
    resume_without_cursor(!last.empty() ? last : target.parameter("after").value_or("now"));
  if (!from)
    return refuse_request{from.why()};
  return follow_as_events{std::move(name), *from};
}

http_route conversation_route(const http_request& x, const request_target& target,
                              const session_limits& limits) {
  const auto& path = target.segments;
  if (path.size() < 3 || path.size() > 4)
    return not_found("path: /v1/conversations/{name}, /v1/conversations/{name}/entries or "
                     "/v1/conversations/{name}/events is needed; a slash in a name is written %2F");
  auto name = model::conversation_name::parse(path[2]);
  if (!name)
    return refuse_request{name.why()};
  if (path.size() == 3) {
    if (reads(x))
      return ask_backend{info_command{*name}};
    if (x.method() == http::verb::delete_)
      return ask_backend{delete_command{*name}};
    if (x.method() == http::verb::patch)
      return patch(x, std::move(*name));
    return method_refused("GET, HEAD, PATCH, DELETE");
  }
  if (path[3] == "entries") {
    if (reads(x))
      return get_entries(target, std::move(*name));
    if (x.method() == http::verb::post)
      return post_entries(x, std::move(*name), limits);
    return method_refused("GET, HEAD, POST");
  }
  if (path[3] == "events") {
    if (x.method() == http::verb::get)
      return get_events(x, target, std::move(*name));
    return method_refused("GET");
  }
  return not_found("path: only entries and events are below a conversation");
}

http_route websocket_route(const http_request& x, const request_target& target,
                           const session_limits& limits) {
  if (!beast::websocket::is_upgrade(x))
    return refused(model::code::bad_request, "upgrade: this path takes WebSocket handshakes", 426);
  if (view(x[http::field::sec_websocket_version]) != "13")
    return refused(model::code::bad_request, "Sec-WebSocket-Version: must be 13", 426);
  if (!wire::valid_handshake_key(view(x[http::field::sec_websocket_key])))
    return refused(model::code::bad_request, "Sec-WebSocket-Key: must be 16 bytes in base64", 400);
  if (x.count(http::field::host) == 0)
    return refused(model::code::bad_request, "Host: is missing", 400);
  if (foreign_origin(x, limits))
    return refused(model::code::bad_request,
                   "Origin: pages of this origin may not connect (net.origins)", 403);
  websocket_options options;
  if (auto client = target.parameter("client")) {
    if (client->empty() || client->size() > client_bytes_max || client->front() == '~' ||
        !wire::valid_utf8(*client))
      return refused(model::code::bad_request,
                     "client: must have 1 to 128 bytes of UTF-8 and not begin with '~'");
    options.who.client = *client;
  } else {
    options.who.client = made_up_client();
  }
  if (auto text = target.parameter("conversation")) {
    auto name = model::conversation_name::parse(*text);
    if (!name)
      return refuse_request{name.why()};
    options.subscribe.emplace(subscribe_command{{}, std::move(*name), std::nullopt});
    if (auto after = target.parameter("after")) {
      auto from = model::parse_after(*after);
      if (!from)
        return refuse_request{from.why()};
      options.subscribe->from = *from;
    }
  }
  return upgrade_to_websocket{std::move(options)};
}

} // namespace

http_route route_of(const http_request& x, const session_limits& limits) {
  auto target = parse_target(view(x.target()));
  if (!target)
    return refused(model::code::bad_request,
                   "path: is not an absolute path, or has a broken percent escape");
  if (!reads(x) && foreign_origin(x, limits))
    return refused(model::code::bad_request,
                   "Origin: pages of this origin may not write here (net.origins)", 403);
  const auto& path = target->segments;
  if (path.size() >= 2 && path[0] == "v1" && path[1] == "conversations")
    return conversation_route(x, *target, limits);
  if (path.size() == 2 && path[0] == "v1" && path[1] == "ws")
    return websocket_route(x, *target, limits);
  auto known = path.empty() || (path.size() == 1 && (path[0] == "healthz" || path[0] == "readyz"));
  if (!known)
    return not_found("path: there is nothing here");
  if (!reads(x))
    return method_refused("GET, HEAD");
  if (path.empty())
    return answer_page{};
  if (path[0] == "healthz")
    return answer_health{};
  return answer_readiness{};
}

std::string made_up_client() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  char text[32];
  auto [end, failure] = std::to_chars(text, text + sizeof text, random() | (1ull << 63), 36);
  return '~' + std::string{text, end};
}

} // namespace confab::net
