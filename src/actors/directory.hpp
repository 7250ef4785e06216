// Name → conversation actor of this node: spawned on first use, ended when idle.
#pragma once

#include "actors/environment.hpp"
#include "actors/redis_interfaces.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <unordered_map>

namespace confab::actors {

struct directory_state {
  using self_pointer = directory_actor::stateful_pointer<directory_state>;

  explicit directory_state(self_pointer parent) : self{parent} {}

  conversation_actor lookup(const model::conversation_name& x);
  /// @returns whether it was active.
  bool wake_up(const model::conversation_name& x);
  caf::result<bool> wake_home(const model::conversation_name& x, const std::string& origin);
  void placed(const cluster_view_ptr& x);
  void passivate(const model::conversation_name& x, const conversation_actor& who);
  /// What this node carries, for `environment::load`.
  void count();
  [[nodiscard]] bool home_here(const model::conversation_name& x) const;
  void retain();
  void retained_some(const retained& x);

  self_pointer self;
  environment* env = nullptr;
  log_writer_actor writer;
  stream_actors streams;
  /// Only those in use: existing conversations cost nothing until then.
  std::unordered_map<model::conversation_name, conversation_actor> active;
  /// Null: there is one node.
  cluster_view_ptr view;

  static inline const char* name = "directory";
};

directory_actor::behavior_type directory(directory_state::self_pointer self,
                                         log_writer_actor writer, stream_actors streams,
                                         environment* env);

} // namespace confab::actors
