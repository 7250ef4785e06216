// No log lines while a test makes the faults that they tell of.
#pragma once

#include <spdlog/spdlog.h>

namespace confab::test {

/// For its lifetime.
class silenced_log {
public:
  silenced_log() { spdlog::set_level(spdlog::level::off); }
  silenced_log(const silenced_log&) = delete;
  silenced_log& operator=(const silenced_log&) = delete;
  ~silenced_log() { spdlog::set_level(level_); }

private:
  spdlog::level::level_enum level_ = spdlog::get_level();
};

} // namespace confab::test
