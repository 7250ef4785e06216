// One budget for what rings, pages and frames hold in memory (DESIGN §6).
#pragma once

#include <atomic>
#include <cstddef>

namespace confab::model {

/// Counts bytes; any thread. Being over it is a reason to forget something, never an error: by §3
/// what is forgotten is read from the log again.
class byte_budget {
public:
  explicit byte_budget(std::size_t bytes_max) : max_{bytes_max} {}
  byte_budget(const byte_budget&) = delete;
  byte_budget& operator=(const byte_budget&) = delete;

  void take(std::size_t bytes) noexcept { used_.fetch_add(bytes, std::memory_order_relaxed); }
  void give_back(std::size_t bytes) noexcept { used_.fetch_sub(bytes, std::memory_order_relaxed); }

  /// Takes only what fits. @returns whether it did.
  [[nodiscard]] bool try_take(std::size_t bytes) noexcept {
    if (used_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= max_)
      return true;
    give_back(bytes);
    return false;
  }

  [[nodiscard]] std::size_t most() const noexcept { return max_; }
  [[nodiscard]] bool over() const noexcept { return used() > max_; }
  [[nodiscard]] std::size_t used() const noexcept { return used_.load(std::memory_order_relaxed); }

private:
  const std::size_t max_;
  std::atomic<std::size_t> used_{0};
};

} // namespace confab::model
