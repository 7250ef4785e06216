// The first word between nodes, from either side: who they are (DESIGN §8).
#pragma once

#include "model/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace confab::net::wire {

/// Raised when an older node could misunderstand what this one says.
inline constexpr std::uint32_t link_protocol = 1;

/// The first word of a link, from either side.
struct link_hello {
  std::string cluster;
  std::uint32_t protocol = link_protocol;
  /// Of the program; for the log.
  std::string version;
  /// Random per process.
  std::string incarnation;
  /// The incarnation that is meant: a process that was restarted at the same address is another
  /// one. Empty in an answer.
  std::string to = {};

  friend bool operator==(const link_hello&, const link_hello&) = default;
};

[[nodiscard]] std::string make_link_hello(const link_hello& x);
/// Errors: `bad_request`.
[[nodiscard]] model::result<link_hello> read_link_hello(std::string_view bytes);

} // namespace confab::net::wire
