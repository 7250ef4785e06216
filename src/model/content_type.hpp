// Content types: which texts are one, which are the same, and what their payloads look like.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace confab::model {

inline constexpr std::size_t content_type_bytes_max = 256;
/// What a conversation holds unless its creation says otherwise.
inline constexpr std::string_view json_content_type = "application/json";

/// How a payload is shown where only JSON can be.
enum class payload_form : std::uint8_t {
  json,  ///< Valid JSON text.
  text,  ///< `text/*`: a JSON string, if the bytes are UTF-8.
  bytes, ///< Anything else: base64.
};

/// `type/subtype` of RFC 9110 §8.3.1, then nothing or `;` and parameters of printable ASCII; at
/// most `content_type_bytes_max`.
[[nodiscard]] bool valid_content_type(std::string_view text) noexcept;

/// Whether type and subtype are equal without regard to case. Parameters do not count.
[[nodiscard]] bool same_content_type(std::string_view x, std::string_view y) noexcept;

[[nodiscard]] payload_form form_of(std::string_view content_type) noexcept;

} // namespace confab::model
