// What a request to `/v1/stream/{name}` asks for (Durable Streams): one decision. No sockets.
#pragma once

#include "net/client.hpp"
#include "net/io_thread.hpp"
#include "net/stream_fields.hpp"

#include <variant>

namespace confab::net {

/// What the answer needs to know of the question.
struct stream_question {
  enum class kind : std::uint8_t { create, append, remove, info, read, wait } what;
  /// With `create`: the stream's URL.
  std::string location = {};
  /// With `append`.
  std::optional<stream_producer> producer = std::nullopt;
  bool empty = false;
  /// With `read` and `wait`: whether an offset of the server's was given (else -1, now, or none).
  bool at_offset = false;
  bool from_now = false;
  std::optional<std::uint64_t> cursor = std::nullopt;
  std::string if_none_match = {};
};

// The decisions.

/// A command for the actors; its event is the answer.
struct ask_stream {
  command what;
  stream_question how;
};
/// Long-poll: answers what comes next when it is there, 204 when the time has passed.
struct wait_on_stream {
  model::conversation_name name;
  model::resume_request from;
  stream_question how;
};
struct follow_stream {
  model::conversation_name name;
  model::resume_request from;
  std::optional<std::uint64_t> cursor;
};
/// What is created or appended stands in the body: `stream_route_of_body` tells.
struct needs_stream_body {
  model::conversation_name name;
  stream_question how;
  std::string content_type;
  /// With `create`.
  model::creation creation = {};
  /// With `append`.
  model::conditions where = {};
};
struct refuse_stream {
  model::error why;
  /// 0: the code's own.
  unsigned status = 0;
};

using stream_route =
    std::variant<ask_stream, wait_on_stream, follow_stream, needs_stream_body, refuse_stream>;

inline constexpr std::string_view stream_methods = "GET, HEAD, PUT, POST, DELETE, OPTIONS";

/// The decision as far as the head tells. @pre the path begins with `stream_path`, and the method
/// is one of `stream_methods`, not OPTIONS
[[nodiscard]] stream_route stream_route_of_head(const http_request& x);

/// The decision once the body of `x` is there.
[[nodiscard]] stream_route stream_route_of_body(const needs_stream_body& known,
                                                const http_request& x,
                                                const session_limits& limits);

} // namespace confab::net
