// When the entries under way should have been sent, for payloads too small to carry it; shared by
// the threads of one process.
#pragma once

#include <atomic>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace confab::model {

/// A line is what one publisher writes into one conversation; each has a ring of its newest
/// numbers. Any thread; a line's numbers are noted by one thread at a time. A reader asks only for
/// what it received, so the note came before.
class send_times {
public:
  /// @param slots numbers remembered per line, rounded up to a power of two; 8 bytes each.
  /// @param begin_ns no earlier time is noted.
  send_times(std::size_t lines, std::size_t slots, std::int64_t begin_ns)
    : slots_{std::bit_ceil(slots)}, lines_{lines}, begin_ns_{begin_ns},
      held_{std::make_unique<std::atomic<std::uint64_t>[]>(lines * slots_)} {}

  /// @pre due_ns is less than three days after the beginning.
  void note(std::size_t line, std::uint64_t number, std::int64_t due_ns) noexcept {
    auto after = static_cast<std::uint64_t>(due_ns - begin_ns_) + 1; // 0 is an empty slot
    assert(line < lines_ && due_ns >= begin_ns_ && after <= time_mask);
    slot(line, number).store(lap(number) << time_bits | after, std::memory_order_relaxed);
  }

  /// Nothing if it was never noted or newer numbers have its slot. A number from 2^16 laps of the
  /// ring ago is not told from today's.
  [[nodiscard]] std::optional<std::int64_t> of(std::size_t line,
                                               std::uint64_t number) const noexcept {
    if (line >= lines_)
      return {};
    auto held = slot(line, number).load(std::memory_order_relaxed);
    if ((held & time_mask) == 0 || held >> time_bits != lap(number))
      return {};
    return begin_ns_ + static_cast<std::int64_t>(held & time_mask) - 1;
  }

private:
  // One word holds both, so that no reader sees half a note.
  static constexpr unsigned time_bits = 48;
  static constexpr std::uint64_t time_mask = (std::uint64_t{1} << time_bits) - 1;

  [[nodiscard]] std::uint64_t lap(std::uint64_t number) const noexcept {
    return (number / slots_) & 0xffff;
  }
  [[nodiscard]] std::atomic<std::uint64_t>& slot(std::size_t line,
                                                 std::uint64_t number) const noexcept {
    return held_[line * slots_ + (number & (slots_ - 1))];
  }

  std::size_t slots_;
  std::size_t lines_;
  std::int64_t begin_ns_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> held_;
};

} // namespace confab::model
