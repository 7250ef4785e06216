// What an HTTP request asks for: from method, target, headers and body to one decision. No sockets.
#pragma once

#include "net/client.hpp"
#include "net/io_thread.hpp"

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <string>
#include <variant>

namespace confab::net {

using http_request = boost::beast::http::request<boost::beast::http::string_body>;

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
struct answer_page {};
struct answer_health {};
struct answer_readiness {};
struct upgrade_to_websocket {
  websocket_options options;
};
struct follow_as_events {
  model::conversation_name name;
  model::resume_request from;
};
struct refuse_request {
  model::error why;
  /// 0: the code's own.
  unsigned status = 0;
  /// For 405: the methods that are taken.
  std::string_view allow = {};
};

using http_route = std::variant<ask_backend, answer_page, answer_health, answer_readiness,
                                upgrade_to_websocket, follow_as_events, refuse_request>;

/// Any thread.
[[nodiscard]] http_route route_of(const http_request& x, const session_limits& limits);

/// A client id for a connection that named none: nobody else's, and not found again.
[[nodiscard]] std::string made_up_client();

} // namespace confab::net
