// A CAF actor system without threads or a real clock: tests step it by hand.
#pragma once

#include "actors/interfaces.hpp"

#include <caf/actor_cast.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/scoped_actor.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

namespace confab::test {

struct deterministic_config : caf::actor_system_config {
  deterministic_config() {
    set("scheduler.policy", caf::atom("testing"));
    set("logger.verbosity", caf::atom("quiet"));
  }
};

class deterministic_system {
public:
  deterministic_system() = default;
  deterministic_system(const deterministic_system&) = delete;
  deterministic_system& operator=(const deterministic_system&) = delete;

  /// Fires pending timeouts: in CAF 0.17 they keep their actor alive.
  ~deterministic_system() {
    do
      run();
    while (scheduler.trigger_timeouts() > 0);
  }

  /// Handles messages until every mailbox is empty. Time stands still.
  void run() { scheduler.run(); }

  /// Handles one message of one actor, chosen by `pick(n)`, a number below n. The choice does not
  /// depend on addresses, so a seed means the same schedule in every process. @returns whether
  /// there was one.
  template <class Pick>
  bool step(Pick&& pick) {
    auto& jobs = scheduler.jobs;
    if (jobs.empty())
      return false;
    by_id_.clear();
    for (std::size_t i = 0; i < jobs.size(); ++i)
      by_id_.emplace_back(dynamic_cast<caf::scheduled_actor&>(*jobs[i]).id(), i);
    auto chosen = by_id_.begin() + static_cast<std::ptrdiff_t>(pick(jobs.size()));
    std::nth_element(by_id_.begin(), chosen, by_id_.end());
    auto at = jobs.begin() + static_cast<std::ptrdiff_t>(chosen->second);
    std::rotate(jobs.begin(), at, at + 1);
    scheduler.run_once();
    return true;
  }

  /// Lets time pass: what was delayed until then is in the mailboxes.
  void advance(std::chrono::milliseconds x) { scheduler.advance_time(x); }

  /// Since the system began.
  [[nodiscard]] std::int64_t now_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               scheduler.clock().now().time_since_epoch())
        .count();
  }

private:
  deterministic_config config_;

public:
  caf::actor_system system{config_};
  caf::scheduler::test_coordinator& scheduler =
      dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());

private:
  std::vector<std::pair<caf::actor_id, std::size_t>> by_id_;
};

/// The state of an actor, for tests that look inside.
template <class State, class Handle>
State& state_of(const Handle& x) {
  auto* actor = caf::actor_cast<caf::abstract_actor*>(x);
  return dynamic_cast<std::remove_pointer_t<typename State::self_pointer>&>(*actor).state;
}

} // namespace confab::test
