// Keeps log lines that strangers can cause from filling the disk: a few a minute, the rest counted.
#pragma once

#include <cstdint>

namespace confab::actors {

class quiet_log {
public:
  /// Whether this one may be written. @param now_ms any clock that does not go back.
  [[nodiscard]] bool allows(std::int64_t now_ms) noexcept {
    if (now_ms - since_ms_ >= window_ms) {
      since_ms_ = now_ms;
      written_ = 0;
    }
    if (written_ < lines_max) {
      ++written_;
      return true;
    }
    ++left_out_;
    return false;
  }
  /// How many were left out since it was asked last.
  [[nodiscard]] std::uint64_t left_out() noexcept {
    auto count = left_out_;
    left_out_ = 0;
    return count;
  }

private:
  static constexpr std::int64_t window_ms = 10'000;
  static constexpr int lines_max = 5;

  std::int64_t since_ms_ = -window_ms;
  int written_ = 0;
  std::uint64_t left_out_ = 0;
};

} // namespace confab::actors
