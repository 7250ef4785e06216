// When the writer waits for more drafts before it commits (DESIGN §7).
//
// A commit costs a fixed time (an fsync) and CPU, so drafts that are about to come should share it. But a publisher that
// waits for its receipt sends nothing meanwhile: waiting for it only adds latency. So the writer waits only where waiting
// has lately paid, tries it now and then, and ends a wait as soon as as many drafts are there as came in earlier ones.
#pragma once

#include <algorithm>
#include <cstdint>

namespace confab::model {

/// Pure; times in microseconds of one monotonic clock. One thread.
class commit_pacing {
public:
  static constexpr double drafts_worth_waiting = 4;
  static constexpr std::size_t drafts_max = 16;
  /// One commit in so many tries a wait where the last ones did not pay.
  static constexpr std::uint64_t probe_interval = 64;

  explicit commit_pacing(std::int64_t gather_us) : gather_us_{gather_us} {}

  /// Drafts are queued and no commit is under way: how long to wait for more; 0 commits at once.
  [[nodiscard]] std::int64_t wait_us(std::size_t queued) const {
    auto probing = commits_ % probe_interval == 0;
    if (gather_us_ == 0 || queued >= target(probing))
      return 0;
    return probing || mean_ >= drafts_worth_waiting ? gather_us_ : 0;
  }

  /// During a wait: whether enough are there to end it.
  [[nodiscard]] bool enough(std::size_t queued) const {
    return queued >= target(commits_ % probe_interval == 0);
  }

  /// A commit of `drafts` begins, after a wait or without one.
  void committed(std::size_t drafts, bool waited) {
    ++commits_;
    // Without a wait, only a large batch says something: it came by itself.
    if (waited || static_cast<double>(drafts) > mean_)
      mean_ += (static_cast<double>(drafts) - mean_) / 4;
  }

private:
  [[nodiscard]] std::size_t target(bool probing) const {
    if (probing)
      return drafts_max;
    return std::clamp<std::size_t>(static_cast<std::size_t>(mean_ + 0.5), 2, drafts_max);
  }

  std::int64_t gather_us_;
  double mean_ = 1;
  std::uint64_t commits_ = 1;
};

} // namespace confab::model
