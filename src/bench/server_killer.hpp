// Kills the server at random moments and starts it again, as a soak test wants it.
#pragma once

#include <cstdint>
#include <random>
#include <string>

namespace confab::bench {

/// The server that it started last goes on when this ends.
class server_killer {
public:
  /// @param pid of the running server. @param restart a command for the shell. @param mean_s time
  /// between two kills is drawn from [0.5, 1.5] × this.
  server_killer(int pid, std::string restart, double mean_s, std::uint64_t seed,
                std::int64_t now_ns);

  /// Kills and restarts if it is time. @returns why that failed; empty: it did not.
  [[nodiscard]] std::string tick(std::int64_t now_ns);
  /// Kills no more.
  void stop() noexcept { stopped_ = true; }

  [[nodiscard]] unsigned kills() const noexcept { return kills_; }
  [[nodiscard]] int pid() const noexcept { return pid_; }

private:
  void plan(std::int64_t now_ns);
  [[nodiscard]] std::string kill_now();
  [[nodiscard]] std::string start();

  int pid_;
  /// It was started here, as the leader of a process group.
  bool own_ = false;
  const std::string restart_;
  const double mean_s_;
  std::mt19937_64 random_;
  std::int64_t next_ns_ = 0;
  unsigned kills_ = 0;
  bool stopped_ = false;
};

} // namespace confab::bench
