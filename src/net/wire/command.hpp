// Client frames and bodies into commands: everything from outside is parsed as hostile.
#pragma once

#include "net/client.hpp"
#include "net/wire/json_object.hpp"

#include <variant>

namespace confab::net::wire {

struct limits {
  std::size_t payload_bytes = 262'144;
};

struct ping {
  std::string ref;
};
/// An ack as the client wrote it; the session adds the epoch of its subscription.
struct ack {
  std::string ref;
  model::conversation_name name;
  model::seq at;
};

/// A frame that was refused, with what its answer should repeat.
struct refusal {
  std::string ref;
  std::optional<model::conversation_name> name;
  model::error why;
};

using frame =
    std::variant<subscribe_command, unsubscribe_command, publish_command, ack, ping, refusal>;

/// Parses a WebSocket text frame of DESIGN §10.
[[nodiscard]] frame parse_frame(std::string_view text, const client_identity& who,
                                const limits& bounds);

/// Parses the body of POST entries: one draft, or an array of them (`array` tells).
[[nodiscard]] model::result<model::batch>
parse_drafts(std::string_view body, const client_identity& who, const limits& bounds, bool& array);

/// Puts a batch under an idempotency key; `text` is what it was parsed from: another one under the
/// same key is refused. Errors: `bad_producer` if the batch has a producer.
[[nodiscard]] model::status add_key(model::batch& to, std::string_view key, std::string_view text);

} // namespace confab::net::wire
