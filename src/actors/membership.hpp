// This node's lease, and who else has one (DESIGN §8, cluster).
//
// Invariants:
// (1) The node never counts on its lease for longer than others do. A renewal that was answered
//     holds for `lease_ms` from when it was sent, by this node's monotonic clock; Redis counts from
//     when it came, which is later. Only a call that is under way when the lease runs out delays
//     the news, by a third of the lease at most.
// (2) Without an answer the others are who they were. They cannot be asked, and homes that move
//     because Redis is away would move back.
// (3) The listener is told changes alone.
#pragma once

#include "actors/cluster_interfaces.hpp"
#include "actors/environment.hpp"
#include "store/lease_source.hpp"

#include <caf/actor_clock.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <memory>
#include <random>
#include <set>

namespace confab::actors {

struct membership_options {
  /// This node; its load is read from the environment.
  store::lease own;
  std::int64_t lease_ms = 5'000;
  /// Used by the membership alone, which blocks in it: spawn it detached.
  std::shared_ptr<store::lease_source> leases;
  /// Of the jitter.
  std::uint32_t seed = 0;
};

struct membership_state {
  using self_pointer = membership_actor::stateful_pointer<membership_state>;

  explicit membership_state(self_pointer parent) : self{parent} {}

  void work();
  [[nodiscard]] bool leave();

  // Steps of the above.

  [[nodiscard]] model::result<std::vector<store::lease>> ask();
  void take(const std::vector<store::lease>& live);
  /// Whether it is a node of this cluster; why not is logged once for each.
  [[nodiscard]] bool belongs(const store::lease& x);
  void complain_about_rows();
  [[nodiscard]] bool held() const;
  /// Others as they were last known; itself, if its lease holds.
  void announce();
  void log_changes(const live_members& now) const;
  void work_again(bool answered);

  self_pointer self;
  environment* env = nullptr;
  membership_options how;
  members_listener listener;
  std::minstd_rand random;

  /// Without this node; by incarnation.
  std::vector<model::member> others;
  caf::actor_clock::time_point own_until{};
  bool left = false;
  /// What the listener was told last.
  member_list told;
  /// Incarnations whose lines are in the log, as long as they have leases.
  std::set<std::string> left_out;
  std::size_t unreadable = 0;

  static inline const char* name = "membership";
};

/// @param to is told who the members are.
membership_actor::behavior_type membership(membership_state::self_pointer self,
                                           membership_options how, members_listener to,
                                           environment* env);

} // namespace confab::actors
