// When the writer waits for more drafts before it commits (DESIGN §7).
//
// A commit costs a fixed time (an fsync) and CPU, so drafts that are about to come should share it.
// But a publisher that waits for its receipt sends nothing meanwhile: waiting for it only adds
// latency. So the writer waits only where waiting has lately paid, tries it now and then, and ends
// a wait as soon as nothing has come for a slice of it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace confab::model {

/// Pure; times in microseconds. One thread.
class commit_pacing {
public:
  /// A wait has paid if a commit carried so many.
  static constexpr double drafts_worth_waiting = 3;
  /// No wait goes on with so many.
  static constexpr std::size_t drafts_max = 16;
  /// One commit in so many tries a wait where the last ones did not pay.
  static constexpr std::uint64_t probe_interval = 64;
  static constexpr std::int64_t slices = 4;

  /// @param gather_us the longest wait; 0: never.
  explicit commit_pacing(std::int64_t gather_us) : gather_us_{gather_us} {}

  /// No commit is under way, and all that has come is queued: how long to wait before asking again;
  /// 0 commits at once.
  [[nodiscard]] std::int64_t begin(std::size_t queued) {
    waited_us_ = 0;
    seen_ = queued;
    auto probing = commits_ % probe_interval == 0;
    auto pays = probing || mean_ >= drafts_worth_waiting;
    return pays && !enough(queued) ? slice() : 0;
  }

  /// That time is over, with `queued` drafts there: how long to wait on; 0 commits.
  [[nodiscard]] std::int64_t go_on(std::size_t queued) {
    waited_us_ += slice();
    auto silent = queued == std::exchange(seen_, queued);
    return silent || enough(queued) || waited_us_ >= gather_us_ ? 0 : slice();
  }

  [[nodiscard]] static bool enough(std::size_t queued) noexcept { return queued >= drafts_max; }

  /// A commit of `drafts` begins.
  void committed(std::size_t drafts) {
    ++commits_;
    // Up fast, down slowly: of a burst that came too late for a wait, the first draft commits alone
    // and the rest together.
    auto change = static_cast<double>(drafts) - mean_;
    mean_ += change > 0 ? change / 2 : change / 8;
  }

private:
  [[nodiscard]] std::int64_t slice() const noexcept { return (gather_us_ + slices - 1) / slices; }

  std::int64_t gather_us_;
  double mean_ = 1;
  std::uint64_t commits_ = 1;
  std::int64_t waited_us_ = 0;
  std::size_t seen_ = 0;
};

} // namespace confab::model
