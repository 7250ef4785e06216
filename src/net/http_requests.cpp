// What a connection does with a request that it has read, and how it answers.
#include "net/event_session.hpp"
#include "net/http_answer.hpp"
#include "net/http_connection.hpp"
#include "net/http_fields.hpp"
#include "net/server_metrics.hpp"
#include "net/stream_session.hpp"
#include "net/websocket_session.hpp"
#include "net/wire/formats.hpp"

namespace confab::net {

namespace http = boost::beast::http;

void http_connection::carry_out() {
  stage_ = stage::answering;
  std::visit([this](auto& x) { carry_out(x); }, route_);
}

client_port& http_connection::port() {
  if (!port_)
    port_ = thread_.shared().backend.connect({&owner(), id}, {"anonymous", made_up_client()});
  return *port_;
}

void http_connection::carry_out(ask_backend& x) {
  array_ = x.array;
  port().tell(std::move(x.what));
}

void http_connection::carry_out(answer_readiness&) {
  auto state =
      thread_.shared().draining ? readiness{false, "draining"} : thread_.shared().backend.ready();
  if (state.ready) {
    std::string json = R"({"ready":true)";
    if (!state.settings.empty()) {
      json += R"(,"log":)";
      wire::add_string(json, state.settings);
    }
    if (!state.redis.empty()) {
      json += R"(,"redis":)";
      wire::add_string(json, state.redis);
    }
    json += '}';
    return answer(200, "application/json", json);
  }
  refuse({model::code::overloaded, "not ready: " + state.why}, 503);
}

void http_connection::carry_out(answer_metrics&) {
  metrics all;
  measure(thread_.shared(), all);
  thread_.shared().backend.measure(all);
  answer(200, metrics_type, all.text());
}

void http_connection::carry_out(upgrade_to_websocket&) {
  if (!rest().empty())
    return refuse({model::code::bad_request,
                   "handshake: frames came before its answer (RFC 6455 section 4.1)"});
  stage_ = stage::leaving;
}

void http_connection::carry_out(needs_body&) {
  refuse({model::code::bad_request, "body: is missing"});
}

void http_connection::carry_out(answer_options& x) {
  answer(204, {}, {}, "Allow: " + std::string{x.allow} + "\r\n");
}

void http_connection::carry_out(answer_events_head&) {
  keep_ = false; // as the GET does, whose answer has no other end
  answer(200, "text/event-stream", {}, "X-Accel-Buffering: no\r\n");
}

void http_connection::carry_out(refuse_request& x) {
  refuse(x.why, x.status,
         x.allow.empty() ? std::string{} : "Allow: " + std::string{x.allow} + "\r\n");
}

void http_connection::leave() {
  auto self = shared_from_this();
  auto route = std::move(route_);
  auto fields = cors_fields(request_, limits());
  auto& thread = thread_;
  auto x = release();
  if (auto* ws = std::get_if<upgrade_to_websocket>(&route))
    return serve_websocket(std::move(x.socket), thread, std::move(x.place), request_,
                           std::move(ws->options));
  if (auto* stream = std::get_if<stream_route>(&route))
    return serve_stream(std::move(x.socket), thread, std::move(x.place),
                        std::move(std::get<follow_stream>(*stream)), std::move(fields));
  auto& events = std::get<follow_as_events>(route);
  serve_events(std::move(x.socket), thread, std::move(x.place),
               {std::move(events.name), events.from, std::move(fields)});
}

// Answering.

std::string http_connection::begin(unsigned status, std::string_view type, std::string_view fields,
                                   std::string_view cache) {
  keep_ = keep_ && body_.done() && !draining_ && !peer_done_;
  return begin_answer({.status = status,
                       .type = type,
                       .fields = cors_fields(request_, limits()).append(fields),
                       .cache = cache,
                       .closes = !keep_,
                       .says_keep_alive = request_.version() == 10});
}

void http_connection::answer(unsigned status, std::string_view type, std::string_view body,
                             std::string_view fields, std::string_view cache) {
  auto out = begin(status, type, fields, cache);
  // A HEAD that was not answered as a GET does not know the length.
  auto unknown = stream_ && stream_->what == stream_question::kind::info && body.empty();
  if (status != 204 && status != 304 && type != "text/event-stream" && !unknown)
    out.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
  out += "\r\n";
  if (request_.method() != http::verb::head)
    out += body;
  post(out);
  answered();
}

void http_connection::refuse(const model::error& why, unsigned status, std::string_view fields) {
  count(why);
  if (status == 0)
    status = wire::status_of(why.what);
  std::string all{fields};
  if (status == 426) // RFC 9110 §15.5.22, RFC 6455 §4.4
    all += "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n";
  if (status == 503)
    all += "Retry-After: 1\r\n";
  answer(status, "application/problem+json", wire::problem_body(status, reason_of(status), why),
         all);
}

void http_connection::refuse_and_close(const model::error& why, unsigned status) {
  if (stage_ == stage::head)
    request_ = {}; // what is there is of the one before
  keep_ = false;
  refuse(why, status);
}

void http_connection::answered() {
  lines_.reset();
  stream_.reset();
  request_ = {};
  route_ = answer_health{}; // lets go of what the request held
  streaming_ = false;
  served_ = true;
  since_ms_ = io_thread::now_ms();
  stage_ = keep_ ? stage::head : stage::closing;
}

void http_connection::take(event& x) {
  if (cut_)
    return;
  if (auto* s = std::get_if<subscribed_event>(&x)) {
    if (!poll_ || poll_->who || poll_->ref != s->ref)
      return port().tell(drop_command{s->name, s->subscription}); // of a poll that has ended
    poll_->after = s->from;
    poll_->settings = std::move(s->settings);
    poll_->who = &follow(*s, wire::event_stream_format());
    return;
  }
  auto* f = std::get_if<failed_event>(&x);
  if (lines_) {
    if (auto* p = std::get_if<published_event>(&x))
      lines_->answered(*p);
    else if (f)
      lines_->answered(*f);
  } else if (stage_ != stage::answering) {
    return;
  } else if (poll_) {
    if (!f || f->ref != poll_->ref)
      return;
    end_poll();
    refuse(f->why);
  } else if (stream_) {
    answer_stream(x);
  } else if (auto* p = std::get_if<published_event>(&x)) {
    answer(p->got.duplicate ? 200 : 201, "application/json", wire::receipt_body(p->got, array_));
  } else if (auto* g = std::get_if<page_event>(&x)) {
    answer(200, "application/json", wire::page_body(*g));
  } else if (auto* i = std::get_if<info_event>(&x)) {
    answer(200, "application/json", wire::info_body(*i));
  } else if (auto* l = std::get_if<list_event>(&x)) {
    answer(200, "application/json", wire::list_body(*l));
  } else if (auto* c = std::get_if<cursor_event>(&x)) {
    if (c->at)
      answer(200, "application/json", wire::cursor_body(*c));
    else
      refuse({model::code::not_found, "this client has no cursor in " + c->name.text()});
  } else if (std::get_if<deleted_event>(&x)) {
    answer(204, {}, {});
  } else if (f) {
    refuse(f->why);
  }
  owner().touch(*this);
}

// NDJSON.

void http_connection::carry_out(append_lines& x) {
  // HTTP/1.0 has no chunks: its receipts come as an array.
  auto streamed = x.streamed && request_.version() == 11;
  x.streamed = streamed;
  lines_.emplace(std::move(x.name), std::move(x.key), streamed, limits());
  seen_lines_ = 0;
  since_ms_ = last_input_ms_ = io_thread::now_ms();
  stage_ = stage::lines;
}

void http_connection::tell_receipts() {
  if (!std::get<append_lines>(route_).streamed)
    return;
  auto receipts = lines_->take_receipts('\n');
  if (receipts.empty())
    return;
  std::string out;
  if (!std::exchange(streaming_, true))
    out = begin(200, "application/x-ndjson", "X-Accel-Buffering: no\r\n") +
          "Transfer-Encoding: chunked\r\n\r\n";
  add_chunk(out, receipts);
  post(out);
}

void http_connection::finish_lines() {
  tell_receipts();
  const auto& refused = lines_->refusal();
  if (!refused) {
    if (streaming_) {
      post("0\r\n\r\n");
      return answered();
    }
    auto receipts = lines_->take_receipts(',');
    if (receipts.empty())
      return refuse({model::code::bad_request, "body: holds no line"});
    receipts.back() = ']';
    return answer(lines_->appended() ? 201 : 200, "application/json", '[' + receipts);
  }
  count(refused->why);
  auto status = wire::status_of(refused->why.what);
  auto problem = wire::problem_body(status, reason_of(status), refused->why);
  problem.pop_back();
  problem += R"(,"line":)" + std::to_string(refused->line);
  if (streaming_) {
    std::string out;
    add_chunk(out, problem + "}\n");
    post(out + "0\r\n\r\n");
    return answered();
  }
  auto receipts = lines_->take_receipts(',');
  if (!receipts.empty())
    receipts.pop_back();
  answer(status, "application/problem+json", problem + R"(,"receipts":[)" + receipts + "]}");
}

} // namespace confab::net
