// A JSON object as a client sent it: validated as a whole, its members as slices of the original
// text.
#pragma once

#include "model/error.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace confab::net::wire {

/// Keeps payloads as they were written: re-serialising changes big numbers, key order and duplicate
/// keys.
class json_object {
public:
  /// Errors: `bad_request` for malformed JSON (also bad UTF-8), or JSON that is not an object.
  /// `what` names the thing in the error, e.g. "frame".
  /// @param text must outlive the object.
  [[nodiscard]] static model::result<json_object> parse(std::string_view text,
                                                        std::string_view what);

  /// The member's JSON text; the last one if it stands there twice.
  [[nodiscard]] std::optional<std::string_view> raw(std::string_view key) const;

  // Members of a given kind. Absent and null are the same. Errors: `bad_request`, naming the field
  // and what it holds.

  [[nodiscard]] model::result<std::optional<std::string>> text(std::string_view key,
                                                               std::size_t bytes_max) const;
  [[nodiscard]] model::result<std::optional<std::uint64_t>> number(std::string_view key,
                                                                   std::uint64_t max) const;
  [[nodiscard]] model::result<std::optional<bool>> truth(std::string_view key) const;

private:
  std::vector<std::pair<std::string, std::string_view>> members_;
};

/// Slices of a JSON array's elements, or nothing if `text` is not an array. @pre `text` is valid
/// JSON.
[[nodiscard]] std::optional<std::vector<std::string_view>> elements(std::string_view text);

/// Strict RFC 8259 in UTF-8, nested at most 512 deep, exponents below 2^31.
[[nodiscard]] bool valid_json(std::string_view text);

/// "a string", "a number", … of valid JSON text.
[[nodiscard]] std::string_view kind_of(std::string_view json) noexcept;

/// Appends `text` (UTF-8) as a JSON string, with its quotes.
void add_string(std::string& out, std::string_view text);

} // namespace confab::net::wire
