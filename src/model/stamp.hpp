// What a load payload carries, so that its reader can tell who published it, where, when and as
// which number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace confab::model {

/// Of a load payload, which is a JSON string in one of two forms; the size alone tells which.
///
///   full, from `stamp_bytes_min`:   "PUBLISHER-NUMBER-DUE_NS-CHECK-xxxx"   decimal; CHECK is 8 hex
///   digits compact, below:                 "nnnnppccxxxx"                         digits of base
///   64
///
/// The compact form has 24 bits of the number, 12 of the publisher and 12 of the check. So it
/// cannot tell apart: entries of one publisher 2^24 numbers apart (a reader that lost exactly so
/// many in a row), publishers that are equal modulo 4096, and one of 4,096 foreign conversations.
/// It has no time: `send_times` has.
struct stamp {
  std::uint32_t publisher = 0;
  /// Per publisher and conversation, from 1.
  std::uint64_t number = 0;
  /// When it should have been sent, whatever held it up: nanoseconds of the monotonic clock; 0 in
  /// the compact form.
  std::int64_t due_ns = 0;
  /// `conversation_check` of the conversation's name.
  std::uint32_t conversation = 0;
  /// The fields hold only the bits that the compact form has.
  bool compact = false;

  friend bool operator==(const stamp&, const stamp&) = default;
};

/// The longest full form without filler, with its quotes.
inline constexpr std::size_t stamp_bytes_min = 64;
/// The compact form without filler: 8 bytes in quotes.
inline constexpr std::size_t compact_stamp_bytes_min = 10;

inline constexpr std::uint64_t compact_number_mask = (1U << 24) - 1;
inline constexpr std::uint32_t compact_publisher_mask = (1U << 12) - 1;
inline constexpr std::uint32_t compact_check_mask = (1U << 12) - 1;

/// 32 bits of a conversation's name.
[[nodiscard]] std::uint32_t conversation_check(std::string_view name) noexcept;

/// What a reader of a compact payload finds of `x`.
[[nodiscard]] stamp compacted(const stamp& x) noexcept;

/// Appends a payload of exactly `bytes` bytes of JSON text; the form follows from `bytes`.
/// Allocates only what `out` needs to grow. @pre bytes >= compact_stamp_bytes_min; x.due_ns >= 0
void add_stamp(std::string& out, const stamp& x, std::size_t bytes);

/// The stamp of a payload that `add_stamp` made and nobody changed, to its last byte; nothing of
/// any other text.
[[nodiscard]] std::optional<stamp> parse_stamp(std::string_view payload) noexcept;

} // namespace confab::model
