// Conversation names: which texts are one (DESIGN §2).
#pragma once

#include "model/error.hpp"

#include <compare>
#include <functional>
#include <string>
#include <string_view>

namespace confab::model {

inline constexpr std::size_t name_bytes_max = 256;

/// A valid name: 1–256 bytes of `A–Z a–z 0–9 _ - . : / @`; no segment (between `/`) is empty, `.`
/// or
/// `..`; the first is not `__ds`. Immutable.
class conversation_name {
public:
  /// Errors: `bad_name`, whose detail says which rule was broken.
  [[nodiscard]] static result<conversation_name> parse(std::string_view text);

  [[nodiscard]] const std::string& text() const noexcept { return text_; }

  friend auto operator<=>(const conversation_name&, const conversation_name&) = default;

private:
  explicit conversation_name(std::string_view text) : text_{text} {}

  std::string text_;
};

} // namespace confab::model

template <>
struct std::hash<confab::model::conversation_name> {
  std::size_t operator()(const confab::model::conversation_name& x) const noexcept {
    return std::hash<std::string>{}(x.text());
  }
};
