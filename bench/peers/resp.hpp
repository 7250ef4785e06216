// Replies of Redis (RESP2): how long one is, and its parts in order.
#pragma once

#include "parsing.hpp"

namespace confab::peers {

constexpr std::size_t resp_bytes_max = 16 * 1024 * 1024;

struct resp_part {
  /// `*` array, `$` bulk, `:` number, `+` simple, `-` error; 0: none is left.
  char type = 0;
  /// `*`: elements. `$`: bytes.
  std::size_t count = 0;
  /// A null array or bulk.
  bool null = false;
  std::string_view text{};
};

/// Takes the next part from `rest`. @returns nothing while it is not complete. @param why set when
/// it is no RESP2.
[[nodiscard]] inline std::optional<resp_part> next_part(std::string_view& rest, std::string& why) {
  constexpr std::size_t line_bytes_max = 64 * 1024;
  auto end = rest.substr(0, line_bytes_max).find("\r\n");
  if (end == rest.npos) {
    if (rest.size() >= line_bytes_max)
      why = "a line of a reply is too long";
    return std::nullopt;
  }
  if (end == 0 || std::string_view{"*$:+-"}.find(rest[0]) == std::string_view::npos) {
    why = "no Redis reply: " + printable(rest.substr(0, end));
    return std::nullopt;
  }
  resp_part x{.type = rest[0], .text = rest.substr(1, end - 1)};
  auto size = end + 2;
  if (x.type == '*' || x.type == '$') {
    x.null = x.text == "-1";
    auto n = x.null ? 0 : number(x.text);
    if (!n || *n > resp_bytes_max) {
      why = "a reply has no usable length: " + printable(x.text);
      return std::nullopt;
    }
    x.count = static_cast<std::size_t>(*n);
    if (x.type == '$' && !x.null) {
      if (rest.size() < size + x.count + 2)
        return std::nullopt;
      x.text = rest.substr(size, x.count);
      size += x.count + 2;
      if (rest.substr(size - 2, 2) != "\r\n") {
        why = "a reply's string is longer than it says";
        return std::nullopt;
      }
    }
  }
  rest.remove_prefix(size);
  return x;
}

/// The bytes of the whole reply at the beginning of `in`; 0 while it is not complete.
[[nodiscard]] inline std::size_t reply_size(std::string_view in, std::string& why) {
  auto rest = in;
  for (std::size_t left = 1; left > 0; --left) {
    auto x = next_part(rest, why);
    if (!x) {
      if (why.empty() && in.size() > resp_bytes_max)
        why = "a reply is longer than 16 MiB";
      return 0;
    }
    if (x->type == '*')
      left += x->count;
  }
  return in.size() - rest.size();
}

/// Walks over one complete reply; behind its end come parts of type 0.
class resp_walk {
public:
  explicit resp_walk(std::string_view reply) : rest_(reply) {}
  resp_part next() {
    std::string why;
    return next_part(rest_, why).value_or(resp_part{});
  }
  /// Whether the next part is an array of `n`.
  bool array(std::size_t n) {
    auto x = next();
    return x.type == '*' && x.count == n && !x.null;
  }
  std::optional<std::string_view> bulk() {
    auto x = next();
    return x.type == '$' && !x.null ? std::optional{x.text} : std::nullopt;
  }

private:
  std::string_view rest_;
};

} // namespace confab::peers
