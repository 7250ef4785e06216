// One load client's life: connect, publish, drop, resume with backoff, stop reading (DESIGN §5).
//
// Invariants:
// (1) While it is meant to be there, a lost connection is tried again, with longer and longer
// pauses. (2) Every change of its state is reported once.
#pragma once

#include "actors/load_interfaces.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <random>

namespace confab::actors {

struct load_client_state {
  using self_pointer = load_client_actor::stateful_pointer<load_client_state>;
  static constexpr std::int64_t backoff_ms_min = 20;
  static constexpr std::int64_t backoff_ms_max = 1000;

  explicit load_client_state(self_pointer parent) : self{parent} {}

  void open();
  void drop(bool abrupt);
  void churn(const churn_order& x);
  void pause(bool paused);
  void publish(const model::publish_schedule::plan& x);
  void handle(const net::load::load_event& x);
  void tick(std::uint64_t which);

  void become(client_state x, std::string trouble = {});
  void wake_in(std::int64_t ms);
  [[nodiscard]] std::int64_t around(std::int64_t mean_ms);

  self_pointer self;
  std::uint32_t number = 0;
  std::shared_ptr<net::load::load_line> line;
  load_watch_actor watch;
  client_state state = client_state::closed;
  std::uint32_t plans = 0;
  std::uint32_t plans_finished = 0;
  bool given_up = false;
  std::uint32_t failures = 0;
  std::uint64_t ticks = 0;
  /// Comes and goes, if `live_ms` is not 0.
  churn_order comes_and_goes{.live_ms = 0};
  std::mt19937_64 random;

  static inline const char* name = "load_client";
};

/// @param line reaches its socket, whose events come as `event`.
load_client_actor::behavior_type load_client(load_client_state::self_pointer self,
                                             std::uint32_t number,
                                             std::shared_ptr<net::load::load_line> line,
                                             load_watch_actor watch);

} // namespace confab::actors
