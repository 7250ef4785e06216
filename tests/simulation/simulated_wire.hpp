// What stands between two nodes in the simulation: it carries what their links say, in order, step
// by step, until it is cut; what is on its way then is lost.
#pragma once

#include "actors/cluster_interfaces.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

namespace confab::test {

namespace atom {
using carry = caf::atom_constant<caf::atom("carry")>;
} // namespace atom

/// One end: to the node beside it, it is the other node.
using wire_actor = actors::link_end_actor::extend<
    // From the twin: a welcome, or a frame.
    caf::reacts_to<atom::carry, bool, std::string>>;

struct wire_state {
  using self_pointer = wire_actor::stateful_pointer<wire_state>;

  explicit wire_state(self_pointer parent) : self{parent} {}

  self_pointer self;
  /// The end in the node beside it; null: not known before it speaks.
  actors::link_end_actor beside;
  caf::weak_actor_ptr twin;

  /// A process whose end is gone has gone.
  void stand_by(actors::link_end_actor x) {
    beside = std::move(x);
    self->monitor(beside);
  }
  void say(bool welcome, const std::string& bytes) {
    if (!beside)
      stand_by(caf::actor_cast<actors::link_end_actor>(self->current_sender()));
    if (auto to = twin.lock())
      self->send(caf::actor_cast<wire_actor>(to), atom::carry::value, welcome, bytes);
  }
};

inline wire_actor::behavior_type wire(wire_state::self_pointer self,
                                      actors::link_end_actor beside) {
  auto& state = self->state;
  if (beside)
    state.stand_by(std::move(beside));
  self->set_down_handler([&state](const caf::down_msg& x) {
    if (auto to = state.twin.lock())
      state.self->send_exit(caf::actor_cast<caf::actor>(to), x.reason);
    state.self->quit(x.reason);
  });
  return {
      [&state](actors::atom::welcome, const std::string& x) { state.say(true, x); },
      [&state](actors::atom::frame, const std::string& x) { state.say(false, x); },
      [&state](atom::carry, bool welcome, const std::string& x) {
        if (welcome)
          state.self->send(state.beside, actors::atom::welcome::value, x);
        else
          state.self->send(state.beside, actors::atom::frame::value, x);
      },
  };
}

} // namespace confab::test
