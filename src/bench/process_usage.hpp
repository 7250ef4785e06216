// What the measured server has cost so far, read from /proc: all of its processes, and their
// children.
#pragma once

#include <cstdint>
#include <vector>

namespace confab::bench {

struct process_usage {
  /// User and system time, of threads that have ended too.
  std::int64_t cpu_ns = 0;
  std::int64_t user_ns = 0;
  std::int64_t system_ns = 0;
  /// Memory that no other process shares.
  std::int64_t private_kib = 0;
  /// Processes found; 0: none is alive.
  unsigned processes = 0;
};

/// @param memory it costs the kernel a walk over the pages; else `private_kib` is 0.
[[nodiscard]] process_usage usage_of(const std::vector<int>& pids, bool memory = true);

/// Of this process and all its threads.
[[nodiscard]] std::int64_t own_cpu_ns();

} // namespace confab::bench
