// The answers of an HTTP/1.1 server to a load client: whole ones, in order.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace confab::net::load {

struct http_answer {
  unsigned status = 0;
  /// With its empty line.
  std::string_view head;
  std::string_view body;

  [[nodiscard]] std::size_t bytes() const noexcept { return head.size() + body.size(); }
  /// The field's value; empty: it is not there.
  [[nodiscard]] std::string_view field(std::string_view name) const;
};

/// The head at the beginning of `in`, without a body; nothing: it has not all come. @param why set
/// when it is none.
[[nodiscard]] std::optional<http_answer> read_head(std::string_view in, std::string& why);

/// The same with the body, whose length the head must tell.
[[nodiscard]] std::optional<http_answer> read_answer(std::string_view in, std::string& why);

} // namespace confab::net::load
