// Logs what strangers at the cluster's port are refused for: once a minute for each text.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace confab::actors {

/// Any thread may use it.
class refusal_log {
public:
  using time = std::chrono::steady_clock::time_point;

  /// What the line says of `text`; empty if there should be none by now.
  /// @param kind what counts as the same for "once a minute".
  [[nodiscard]] std::string line(const std::string& kind, const std::string& text, time now) {
    std::lock_guard guard{mutex_};
    if (!by_kind_.contains(kind) && by_kind_.size() >= kinds_max)
      return {};
    auto [i, first] = by_kind_.try_emplace(kind);
    auto& x = i->second;
    if (!first && now - x.logged < pause) {
      ++x.left_out;
      return {};
    }
    auto more = x.left_out == 0 ? "" : " (and " + std::to_string(x.left_out) + " before it)";
    x = {.logged = now, .left_out = 0};
    return text + more;
  }

private:
  static constexpr std::chrono::minutes pause{1};
  /// Beyond it nothing is logged: what strangers say does not fill the memory either.
  static constexpr std::size_t kinds_max = 32;

  struct known {
    time logged;
    std::uint64_t left_out = 0;
  };

  std::mutex mutex_;
  std::map<std::string, known> by_kind_;
};

} // namespace confab::actors
