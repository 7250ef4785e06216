// How long to wait before something that has failed is tried again: longer each time, jittered.
#pragma once

#include <algorithm>
#include <cstdint>

namespace confab::model {

/// Pure: the same seed gives the same waits. One thread.
class backoff {
public:
  struct bounds {
    std::int64_t first_ms = 50;
    std::int64_t last_ms = 5'000;
  };

  /// @pre 0 < first_ms <= last_ms
  backoff(bounds at_most, std::uint64_t seed) noexcept
    : bounds_{at_most}, step_ms_{at_most.first_ms}, random_{seed} {}

  /// It failed once more. @returns the wait until the next try, in ms: from a half to the whole of
  /// a step, so that many who failed together do not come back together. Steps double.
  [[nodiscard]] std::int64_t failed() noexcept {
    auto half = (step_ms_ + 1) / 2;
    auto wait =
        half + static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(step_ms_ - half + 1));
    step_ms_ = std::min(bounds_.last_ms, step_ms_ * 2);
    return wait;
  }

  void succeeded() noexcept { step_ms_ = bounds_.first_ms; }

private:
  /// SplitMix64.
  std::uint64_t next() noexcept {
    auto x = random_ += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  }

  bounds bounds_;
  std::int64_t step_ms_;
  std::uint64_t random_;
};

} // namespace confab::model
