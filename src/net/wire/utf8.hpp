// Whether bytes are UTF-8 (RFC 3629), also when they come in pieces.
#pragma once

#include <cstdint>
#include <string_view>

namespace confab::net::wire {

/// A text in progress.
class utf8_progress {
public:
  /// @returns whether the text can still become UTF-8; once it cannot, the object is of no further
  /// use.
  [[nodiscard]] bool take(std::string_view piece) noexcept;
  /// No character is in progress.
  [[nodiscard]] bool whole() const noexcept { return missing_ == 0; }

private:
  /// Bytes that the character in progress still needs.
  std::uint8_t missing_ = 0;
  // The next one's bounds, both included: after some first bytes they are narrower, which keeps out
  // overlong forms, surrogates and what is beyond U+10FFFF.
  std::uint8_t least_ = 0x80;
  std::uint8_t most_ = 0xbf;
};

[[nodiscard]] bool valid_utf8(std::string_view text) noexcept;

} // namespace confab::net::wire
