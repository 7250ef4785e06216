// The target of an HTTP request: decoded path segments and query parameters.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace confab::net {

struct request_target {
  /// Percent-decoded, so a segment may hold a slash. `/` alone has none.
  std::vector<std::string> segments;
  std::vector<std::pair<std::string, std::string>> query;

  /// The parameter's first value.
  [[nodiscard]] std::optional<std::string_view> parameter(std::string_view name) const;
};

/// Nothing if it is not origin-form or a percent escape is broken (RFC 3986 §2.1).
[[nodiscard]] std::optional<request_target> parse_target(std::string_view text);

} // namespace confab::net
