#include "net/http_route.hpp"

#include "net/http_fields.hpp"
#include "net/page_index.hpp"
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
constexpr std::uint64_t wait_s_max = 60;
constexpr std::string_view json_type = "application/json";
constexpr std::string_view lines_type = "application/x-ndjson";

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

bool reads(const http_request& x) {
  return x.method() == http::verb::get || x.method() == http::verb::head;
}

refuse_request not_acceptable(std::string_view types) {
  return refused(model::code::unsupported, "Accept: only " + std::string{types} + " is here", 406);
}

/// A number in the query; absent: `otherwise`.
model::result<std::uint64_t> number_of(const request_target& target, std::string_view key,
                                       std::uint64_t otherwise, std::uint64_t min,
                                       std::uint64_t max) {
  auto text = target.parameter(key);
  if (!text)
    return otherwise;
  std::uint64_t number = 0;
  auto [end, failure] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (failure != std::errc{} || end != text->data() + text->size() || number < min || number > max)
    return model::error{model::code::bad_request, std::string{key} + ": must be a number from " +
                                                      std::to_string(min) + " to " +
                                                      std::to_string(max)};
  return number;
}

/// `after` of a request whose connection has no client id, so no cursor.
model::result<model::resume_request> resume_without_cursor(std::string_view text) {
  auto from = model::parse_after(text);
  if (from && from->from.what == model::after::form::saved)
    return model::error{model::code::bad_after, "after: \"saved\" is for the WebSocket, whose "
                                                "clients have an id"};
  return from;
}

http_route get_entries(const http_request& x, const request_target& target,
                       model::conversation_name name) {
  if (!accepts(view(x[http::field::accept]), json_type))
    return not_acceptable(json_type);
  auto from = resume_without_cursor(target.parameter("after").value_or("start"));
  if (!from)
    return refuse_request{from.why()};
  auto limit = number_of(target, "limit", page_limit_default, 1, model::page_entries_max);
  if (!limit)
    return refuse_request{limit.why()};
  auto wait = number_of(target, "wait", 0, 0, wait_s_max);
  if (!wait)
    return refuse_request{wait.why()};
  if (*wait > 0 && x.method() == http::verb::get)
    return wait_for_entries{std::move(name), *from, *limit,
                            static_cast<std::int64_t>(*wait) * 1000};
  return ask_backend{page_command{std::move(name), *from, *limit}};
}

http_route post_entries(const http_request& x, model::conversation_name name) {
  auto type = media_type(view(x[http::field::content_type]));
  auto is = [type](std::string_view other) {
    return beast::iequals({type.data(), type.size()}, {other.data(), other.size()});
  };
  auto accept = view(x[http::field::accept]);
  auto lines = is(lines_type);
  // curl sends the last one when it is not told another; the body is JSON all the same, or refused
  // as not being it.
  if (!type.empty() && !lines && !is(json_type) && !is("application/x-www-form-urlencoded"))
    return refused(model::code::unsupported,
                   "Content-Type: must be application/json or application/x-ndjson", 415);
  auto streamed = lines && asks_for(accept, lines_type);
  if (!streamed && !accepts(accept, json_type))
    return not_acceptable(lines ? "application/json or application/x-ndjson" : json_type);
  auto key = idempotency_key(x);
  if (!key)
    return refuse_request{key.why()};
  if (lines)
    return append_lines{std::move(name), std::move(*key), streamed};
  return needs_body{needs_body::kind::drafts, std::move(name), std::move(*key)};
}

http_route drafts_of(const needs_body& known, const http_request& x, const session_limits& limits) {
  bool array = false;
  auto drafts = wire::parse_drafts(x.body(), {}, limits.wire, array);
  if (!drafts)
    return refuse_request{drafts.why()};
  if (!known.key.empty()) {
    if (auto done = wire::add_key(*drafts, known.key, x.body()); !done)
      return refuse_request{done.why()};
  }
  return ask_backend{
      publish_command{{}, known.name, std::make_shared<model::batch>(std::move(*drafts))}, array};
}

http_route change_of(const needs_body& known, const http_request& x) {
  auto body = wire::json_object::parse(x.body(), "body");
  if (!body)
    return refuse_request{body.why()};
  auto closed = body->truth("closed");
  if (!closed)
    return refuse_request{closed.why()};
  if (!closed->value_or(false))
    return refused(model::code::bad_request,
                   "closed: must be true; a closed conversation cannot be opened again");
  return ask_backend{close_command{known.name}};
}

http_route get_events(const http_request& x, const request_target& target,
                      model::conversation_name name) {
  if (!accepts(view(x[http::field::accept]), "text/event-stream"))
    return not_acceptable("text/event-stream");
  auto last = view(x["Last-Event-ID"]);
  auto from =
      resume_without_cursor(!last.empty() ? last : target.parameter("after").value_or("now"));
  if (!from)
    return refuse_request{from.why()};
  if (x.method() == http::verb::head)
    return answer_events_head{};
  return follow_as_events{std::move(name), *from};
}

bool client_id(std::string_view x) {
  return !x.empty() && x.size() <= client_bytes_max && x.front() != '~' && wire::valid_utf8(x);
}

refuse_request bad_client() {
  return refused(model::code::bad_request,
                 "client: must have 1 to 128 bytes of UTF-8 and not begin with '~'");
}

http_route get_list(const http_request& x, const request_target& target) {
  if (!accepts(view(x[http::field::accept]), json_type))
    return not_acceptable(json_type);
  auto limit = number_of(target, "limit", page_limit_default, 1, model::page_entries_max);
  if (!limit)
    return refuse_request{limit.why()};
  auto prefix = target.parameter("prefix").value_or("");
  auto after = target.parameter("after").value_or("");
  for (auto text : {prefix, after})
    if (text.size() > model::name_bytes_max || !wire::valid_utf8(text))
      return refused(model::code::bad_request,
                     "prefix, after: must be (the beginning of) a conversation's name");
  return ask_backend{list_command{std::string{prefix}, std::string{after}, *limit}};
}

/// `{"seq":57,"epoch":"k3f9.1"}`
http_route cursor_of(const needs_body& known, const http_request& x) {
  auto body = wire::json_object::parse(x.body(), "body");
  if (!body)
    return refuse_request{body.why()};
  auto at = body->number("seq", model::seq_max.value);
  if (!at)
    return refuse_request{at.why()};
  auto text = body->text("epoch", 64);
  if (!text)
    return refuse_request{text.why()};
  if (!*at || !*text)
    return refused(model::code::bad_request, "seq, epoch: must both be given");
  auto epoch = model::parse_epoch(**text);
  if (!epoch)
    return refused(model::code::bad_request, "epoch: is not one that the server sent");
  return ask_backend{
      cursor_move_command{known.name, known.client, model::position{*epoch, {**at}, {}}}};
}

http_route cursor_route(const http_request& x, const std::string& client,
                        model::conversation_name name) {
  if (!client_id(client))
    return bad_client();
  if (x.method() == http::verb::delete_)
    return ask_backend{cursor_move_command{std::move(name), client, std::nullopt}};
  if (x.method() == http::verb::put)
    return needs_body{needs_body::kind::cursor, std::move(name), {}, client};
  return ask_backend{cursor_command{std::move(name), client}};
}

http_route conversation_route(const http_request& x, const request_target& target) {
  const auto& path = target.segments;
  auto name = model::conversation_name::parse(path[2]);
  if (!name)
    return refuse_request{name.why()};
  if (path.size() == 3) {
    if (x.method() == http::verb::delete_)
      return ask_backend{delete_command{*name}};
    if (x.method() == http::verb::patch)
      return needs_body{needs_body::kind::change, std::move(*name)};
    return ask_backend{info_command{*name}};
  }
  if (path.size() == 5)
    return cursor_route(x, path[4], std::move(*name));
  if (path[3] == "events")
    return get_events(x, target, std::move(*name));
  if (x.method() == http::verb::post)
    return post_entries(x, std::move(*name));
  return get_entries(x, target, std::move(*name));
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
    return refused(model::code::forbidden,
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

http_route as_route(stream_route x) {
  if (auto* no = std::get_if<refuse_stream>(&x))
    return refuse_request{std::move(no->why), no->status};
  return x;
}

/// The methods that a path takes; empty: there is no such path.
std::string_view methods_of(const std::vector<std::string>& path) {
  constexpr std::string_view reading = "GET, HEAD, OPTIONS";
  if (path.empty() ||
      (path.size() == 1 && (path[0] == "healthz" || path[0] == "readyz" || path[0] == "metrics" ||
                            path[0] == "openapi.json" || path[0] == "asyncapi.json")))
    return reading;
  if (path[0] != "v1")
    return {};
  if (path.size() == 2 && path[1] == "ws")
    return "GET, OPTIONS";
  if (path.size() > 2 && path[1] == "stream")
    return stream_methods;
  if (path.size() < 2 || path[1] != "conversations")
    return {};
  if (path.size() == 2)
    return reading;
  if (path.size() == 3)
    return "GET, HEAD, PATCH, DELETE, OPTIONS";
  if (path.size() == 4 && path[3] == "entries")
    return "GET, HEAD, POST, OPTIONS";
  if (path.size() == 5 && path[3] == "cursors")
    return "GET, HEAD, PUT, DELETE, OPTIONS";
  if (path.size() == 4 && path[3] == "events")
    return reading;
  return {};
}

bool lists(std::string_view methods, std::string_view method) {
  for (auto at = methods.find(method); at != std::string_view::npos;
       at = methods.find(method, at + 1)) {
    auto end = at + method.size();
    if ((at == 0 || methods[at - 1] == ' ') && (end == methods.size() || methods[end] == ','))
      return true;
  }
  return false;
}

} // namespace

http_route route_of_head(const http_request& x, const session_limits& limits) {
  if (x.method() == http::verb::options && x.target() == "*")
    return answer_options{"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"};
  auto target = parse_target(view(x.target()));
  if (!target)
    return refused(model::code::bad_request,
                   "path: is not an absolute path, or has a broken percent escape");
  if (!reads(x) && foreign_origin(x, limits))
    return refused(model::code::forbidden,
                   "Origin: pages of this origin may not write here (net.origins)", 403);
  const auto& path = target->segments;
  auto methods = methods_of(path);
  if (methods.empty())
    return not_found(
        "path: there is nothing here; a slash in a conversation's name is written %2F");
  if (x.method() == http::verb::options)
    return answer_options{methods};
  if (!lists(methods, view(x.method_string())))
    return method_refused(methods);
  if (auto coding = view(x[http::field::content_encoding]);
      !coding.empty() && !beast::iequals({coding.data(), coding.size()}, "identity"))
    return refused(model::code::unsupported, "Content-Encoding: bodies are taken as they are", 415);
  if (path.empty())
    return answer_page{"text/html; charset=utf-8", page_index};
  if (path[0] == "openapi.json")
    return answer_page{json_type, openapi_document};
  if (path[0] == "asyncapi.json")
    return answer_page{json_type, asyncapi_document};
  if (path[0] == "healthz")
    return answer_health{};
  if (path[0] == "readyz")
    return answer_readiness{};
  if (path[0] == "metrics")
    return answer_metrics{};
  if (path[1] == "ws")
    return websocket_route(x, *target, limits);
  if (path[1] == "stream")
    return as_route(stream_route_of_head(x));
  if (path.size() == 2)
    return get_list(x, *target);
  return conversation_route(x, *target);
}

http_route route_of_body(http_route known, const http_request& x, const session_limits& limits) {
  if (const auto* stream = std::get_if<stream_route>(&known)) {
    const auto* upload = std::get_if<needs_stream_body>(stream);
    return upload ? as_route(stream_route_of_body(*upload, x, limits)) : std::move(known);
  }
  const auto* upload = std::get_if<needs_body>(&known);
  if (!upload)
    return known;
  switch (upload->what) {
  case needs_body::kind::drafts:
    return drafts_of(*upload, x, limits);
  case needs_body::kind::change:
    return change_of(*upload, x);
  case needs_body::kind::cursor:
    return cursor_of(*upload, x);
  }
  return refused(model::code::bad_request, "body: is missing");
}

http_route route_of(const http_request& x, const session_limits& limits) {
  return route_of_body(route_of_head(x, limits), x, limits);
}

std::string made_up_client() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  char text[32];
  auto [end, failure] = std::to_chars(text, text + sizeof text, random() | (1ull << 63), 36);
  return '~' + std::string{text, end};
}

} // namespace confab::net
