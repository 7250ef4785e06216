// What an HTTP request asks for: from method, target, headers and body to one decision. No sockets.
#pragma once

#include "net/client.hpp"
#include "net/http_head.hpp"
#include "net/io_thread.hpp"
#include "net/stream_route.hpp"

#include <string>
#include <variant>

namespace confab::net {

/// What the query of `/v1/ws` asks for.
struct websocket_options {
  client_identity who;
  std::optional<subscribe_command> subscribe;
};

// The decisions.

/// A command for the actors; their event is the answer.
struct ask_backend {
  command what;
  /// The body was an array, and so is the answer.
  bool array = false;
};
/// One of the files that are built in.
struct answer_page {
  std::string_view type;
  std::string_view bytes;
};
struct answer_health {};
struct answer_readiness {};
struct answer_metrics {};
struct upgrade_to_websocket {
  websocket_options options;
};
struct follow_as_events {
  model::conversation_name name;
  model::resume_request from;
};
/// Answers the next page when there is one, an empty one when the time has passed.
struct wait_for_entries {
  model::conversation_name name;
  model::resume_request from;
  std::size_t limit;
  std::int64_t wait_ms;
};
/// The body is NDJSON: each line is appended as it arrives.
struct append_lines {
  model::conversation_name name;
  /// Of the request; empty: none. Each line has its own, made of it and the line's number.
  std::string key;
  /// The receipts are answered line by line as they come, instead of as one array.
  bool streamed = false;
};
/// What is asked for stands in the body: `route_of_body` tells.
struct needs_body {
  enum class kind : std::uint8_t { drafts, change, cursor } what;
  model::conversation_name name;
  std::string key = {};
  /// With `cursor`.
  std::string client = {};
};
/// OPTIONS: the methods that are taken.
struct answer_options {
  std::string_view allow;
};
/// HEAD of an event stream.
struct answer_events_head {};
struct refuse_request {
  model::error why;
  /// 0: the code's own.
  unsigned status = 0;
  /// For 405: the methods that are taken.
  std::string_view allow = {};
};

using http_route =
    std::variant<ask_backend, answer_page, answer_health, answer_readiness, answer_metrics,
                 upgrade_to_websocket, follow_as_events, wait_for_entries, append_lines, needs_body,
                 answer_options, answer_events_head, stream_route, refuse_request>;

// Any thread.

/// The decision as far as the head tells, so that what is refused anyway need not be sent.
[[nodiscard]] http_route route_of_head(const http_request& x, const session_limits& limits);
/// The decision once the body of `x` is there, if the one of the head left it to that.
[[nodiscard]] http_route route_of_body(http_route known, const http_request& x,
                                       const session_limits& limits);
/// Both, for a request that is there as a whole.
[[nodiscard]] http_route route_of(const http_request& x, const session_limits& limits);

/// A client id for a connection that named none: nobody else's, and not found again.
[[nodiscard]] std::string made_up_client();

} // namespace confab::net
