// The head of an HTTP answer as text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace confab::net {

struct answer_head {
  unsigned status = 200;
  /// Empty: no content.
  std::string_view type = {};
  /// Further complete header lines.
  std::string_view fields = {};
  std::string_view cache = "no-store";
  /// Says so, and the connection ends behind the answer.
  bool closes = false;
  /// For a client of HTTP/1.0 that asked for it: the connection goes on.
  bool says_keep_alive = false;
};

/// Up to, not including, the fields that tell the body's length and the empty line.
[[nodiscard]] std::string begin_answer(const answer_head& x);

/// One piece of a chunked body. @pre not empty
void add_chunk(std::string& out, std::string_view bytes);

[[nodiscard]] std::string_view reason_of(unsigned status);

} // namespace confab::net
