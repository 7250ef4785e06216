// What every actor of this node is given: the clock, the bounds, the shared budgets.
#pragma once

#include "actors/counters.hpp"
#include "actors/interfaces.hpp"
#include "model/byte_budget.hpp"
#include "net/pages.hpp"

#include <caf/scheduled_actor.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace confab::actors {

/// Bounds and times; `config.hpp` has their meanings.
struct limits {
  std::int64_t passivate_ms = 60'000;
  std::int64_t publish_deadline_ms = 10'000;
  std::int64_t gather_us = 1000;
  std::size_t subscriptions = 256;
  /// Others add to the log, too: how often a conversation with subscribers looks; 0: nobody does.
  std::int64_t reconcile_ms = 0;
  /// Drafts on their way to the log, over all conversations; beyond it: `overloaded` (DESIGN §5).
  std::size_t append_bytes = 64 * 1024 * 1024;
};

/// Whether appends work, as the writer last knew; any thread asks, also while the writer hangs in a
/// commit.
class log_health_board {
public:
  void commit_begins(std::int64_t now_ms) noexcept { since_ms_ = now_ms; }
  void commit_ended(store::health now);
  [[nodiscard]] net::readiness readiness(std::int64_t now_ms) const;
  /// As of the last commit that has ended.
  [[nodiscard]] store::health last() const;

private:
  /// Since when a commit is under way; 0: none is.
  std::atomic<std::int64_t> since_ms_{0};
  mutable std::mutex mutex_;
  store::health last_;
};

/// Whether Redis answers, as each of its users last knew; any thread asks.
class redis_health_board {
public:
  /// @param user a literal.
  void up(std::string_view user) { note(user, {}); }
  void down(std::string_view user, const std::string& why) { note(user, why); }
  /// Empty: all is well.
  [[nodiscard]] std::string trouble() const;
  /// By user; empty: it is up.
  [[nodiscard]] std::map<std::string_view, std::string> trouble_by_user() const;

private:
  void note(std::string_view user, const std::string& why);

  mutable std::mutex mutex_;
  std::map<std::string_view, std::string> trouble_by_user_;
};

/// What this node carries, for those who look at the cluster; any thread counts.
struct node_load_board {
  std::atomic<std::uint64_t> connections{0};
  /// In memory.
  std::atomic<std::uint64_t> conversations{0};
  /// Those whose home this node is.
  std::atomic<std::uint64_t> homes{0};
};

/// Outlives all actors. Its members are constant or safe from any thread.
struct environment {
  environment(limits bounds, model::byte_budget& caches, std::string random_incarnation)
    : at_most{bounds}, cache{caches}, appends{bounds.append_bytes}, incarnation{std::move(
                                                                        random_incarnation)} {}

  const limits at_most;
  model::byte_budget& cache;
  model::byte_budget appends;
  /// Random per process: part of the internal producers' names.
  const std::string incarnation;
  log_health_board log_health;
  redis_health_board redis_health;
  node_load_board load;
  /// This node cannot do what other nodes can: clients are better off there.
  std::atomic<bool> others_serve{false};
  counters counted;
  /// Entries on their way to be PUBLISHed; what is beyond it is not.
  model::byte_budget spoken{16 * 1024 * 1024};
  /// Wall clock, milliseconds since 1970. Tests replace it.
  std::function<std::int64_t()> wall_ms;
  /// How the writer waits for drafts, in its own thread; empty: by the actors' clock, whose time
  /// tests set. That clock is another thread, and each wait would wake it twice.
  std::function<void(std::chrono::microseconds)> pause;
};

/// A broken invariant ends the process: what is acknowledged is in the log, and a restart begins
/// from there. An actor that died alone would leave its clients waiting.
void abort_on_exceptions(caf::scheduled_actor& self);

} // namespace confab::actors
