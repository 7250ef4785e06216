// Numbers that are raised where something happens and read by whoever measures.
#pragma once

#include "model/error.hpp"

#include <array>
#include <atomic>
#include <cstdint>

namespace confab::model {

/// Any thread adds and reads. Says nothing about the order of what it counts.
class counter {
public:
  void add(std::uint64_t n = 1) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t value() const noexcept {
    return value_.load(std::memory_order_relaxed);
  }

private:
  std::atomic<std::uint64_t> value_{0};
};

/// How many there are right now; any thread.
class level {
public:
  void set(std::int64_t x) noexcept { value_.store(x, std::memory_order_relaxed); }
  [[nodiscard]] std::int64_t value() const noexcept {
    return value_.load(std::memory_order_relaxed);
  }

private:
  std::atomic<std::int64_t> value_{0};
};

/// One thread adds, any reads: costs that thread no more than a plain number does.
class thread_counter {
public:
  void add(std::uint64_t n = 1) noexcept { value_.store(value() + n, std::memory_order_relaxed); }
  void take_back(std::uint64_t n = 1) noexcept {
    value_.store(value() - n, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t value() const noexcept {
    return value_.load(std::memory_order_relaxed);
  }

private:
  std::atomic<std::uint64_t> value_{0};
};

/// A counter for each code of an error.
template <class Counter>
class counters_by_code {
public:
  static constexpr std::size_t codes = static_cast<std::size_t>(code::moved) + 1;

  void add(code x) noexcept { counters_[static_cast<std::size_t>(x)].add(); }
  [[nodiscard]] std::uint64_t value(code x) const noexcept {
    return counters_[static_cast<std::size_t>(x)].value();
  }

private:
  std::array<Counter, codes> counters_;
};

} // namespace confab::model
