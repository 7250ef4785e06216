// A load run for those who describe scenarios: groups of clients, steps that wait, and what was
// counted. No CAF in it.
#pragma once

#include "net/load/load_thread.hpp"

#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace confab::actors {

/// The run could not be completed: the server is down, refuses, stalls or died; `what` says which.
/// Thrown by every step that waits, so that scenarios are told as if all went well; caught once,
/// where the run was begun.
class run_ended : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// What all load threads have counted so far.
struct load_totals {
  std::uint64_t opened = 0;
  std::uint64_t lost = 0;
  std::uint64_t entries = 0;
  std::uint64_t timed_entries = 0;
  std::uint64_t payload_bytes = 0;
  std::uint64_t published = 0;
  std::uint64_t receipts = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t retried = 0;
  std::uint64_t refused = 0;
  std::uint64_t offences = 0;
  std::uint64_t reached = 0;
  /// When the last reader reached its goal.
  std::int64_t reached_ns = 0;
  std::int64_t at_ns = 0;
};

/// How the clients are, over all groups.
struct load_crowd {
  std::uint32_t clients = 0;
  std::uint32_t live = 0;
  std::uint32_t connecting = 0;
  std::uint32_t waiting = 0;
};

struct load_latencies {
  model::histogram deliveries;
  model::histogram receipts;
};

/// Threads: one owner; it blocks while it waits, and calls `on_tick` meanwhile.
class load_run {
public:
  struct settings {
    std::size_t threads = 1;
    /// A wait in which nothing at all happens for so long has failed.
    double patience_s = 10;
    /// No single wait takes longer.
    double deadline_s = 300;
    /// Called every `tick_ms` while the run waits; what it returns, if not empty, ends the run.
    std::function<std::string()> on_tick;
  };
  static constexpr std::int64_t tick_ms = 100;

  struct group {
    std::uint32_t id = 0;
    std::uint32_t size = 0;
  };

  /// @param board outlives the run.
  load_run(net::load::load_board& board, settings how);
  ~load_run();
  load_run(const load_run&) = delete;
  load_run& operator=(const load_run&) = delete;

  /// Clients that are told things together; numbers them. They do nothing yet.
  group add(std::string name, std::vector<net::load::socket_settings> clients);

  // Orders; they return at once.

  void open(group x, std::uint32_t at_once = 256);
  void drop(group x, bool abrupt);
  void churn(group x, std::uint32_t live_ms, std::uint32_t away_ms, std::uint64_t seed);
  void pause(group x, bool paused);
  /// The group shares the rate and the entries of the plan; each member has its flight.
  void publish(group x, const model::publish_schedule::plan& plan);
  void finish(group x, std::int64_t end_ns);
  /// Sets the goal of every conversation to what was published into it.
  void set_goals();

  // Waits.

  void until_live(group x);
  /// Every publisher of the group has nothing left.
  void until_finished(group x);
  /// Every reader has reached its goal.
  void until_reached();
  void hold(double seconds);
  void until(const std::function<bool()>& claim, const std::string& what);

  // What was counted.

  [[nodiscard]] load_totals totals() const;
  [[nodiscard]] load_crowd crowd();
  [[nodiscard]] std::uint64_t readers() const noexcept { return readers_; }
  /// Latencies of what is due from now on are recorded.
  void open_window();
  void close_window();
  /// What was recorded in the window; @pre closed, and what was due in it has arrived.
  [[nodiscard]] load_latencies take_latencies();
  /// What was recorded since the last call, whatever the window.
  [[nodiscard]] model::histogram take_lately();

  /// Ends all clients; only now their sockets can be looked at.
  void stop();
  [[nodiscard]] std::vector<net::load::load_reader*> all_readers() const;
  [[nodiscard]] std::vector<net::load::load_publisher*> all_publishers() const;

private:
  struct parts;

  void run_in_all(const net::load::load_thread::task& x);
  /// @returns whether something happened since.
  void tick(std::int64_t now);
  void check_progress(std::int64_t now, bool outstanding, const std::string& what);

  net::load::load_board& board_;
  settings how_;
  std::uint64_t readers_ = 0;
  std::uint64_t goal_round_ = 0;
  std::uint64_t seen_ = 0;
  std::int64_t seen_at_ns_ = 0;
  std::int64_t next_tick_ns_ = 0;
  std::vector<std::unique_ptr<net::load::load_thread>> threads_;
  /// The actors: they use the threads, so they end first.
  std::unique_ptr<parts> parts_;
};

} // namespace confab::actors
