// The NATS client protocol: what a server sends, message by message, out of a stream of bytes.
#pragma once

#include "parsing.hpp"

namespace confab::peers {

struct nats_message {
  enum class what : std::uint8_t { info, ok, error, ping, pong, message };
  what is = what::ok;
  /// Of a message.
  std::string_view subject{};
  std::uint64_t subscription = 0;
  /// May be empty.
  std::string_view reply{};
  /// May be empty; else from `NATS/1.0` to the empty line.
  std::string_view headers{};
  /// A message's payload; what an info or error says.
  std::string_view text{};
};

/// Takes the message at the beginning of `rest`. @returns nothing while it is not complete.
/// @param why set when it is none.
[[nodiscard]] std::optional<nats_message> next_message(std::string_view& rest, std::string& why);

/// The status in headers that are nothing else, such as `503`; 0: a usual message.
[[nodiscard]] unsigned status_of(std::string_view headers);

/// A name as one subject token behind `root`: what a subject is cut at, or gives a meaning to, is
/// written as `%` and two digits.
void add_subject(std::string& out, std::string_view root, std::string_view name);

} // namespace confab::peers
