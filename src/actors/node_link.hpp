// This node's end of the way to one other node (DESIGN §8, cluster).
//
//   down ──hello, welcome──> up ──frames, each with its serial──> down    the other end has gone,
//    ^                                                             │      is silent, or a frame is
//    └──────────────────────── the cluster begins anew ────────────┘      missing
//
// Invariants:
// (1) What one end sends arrives once, in order, or the link goes down: then both ends forget
//     what was under way, and conversations begin anew by the next `cluster_view`. So no state is
//     lost: whoever follows gets it when it follows again.
// (2) Towards the other node there is one slot per conversation, with its newest state. Beyond
//     `window_bytes` without acknowledgement nothing of the slots is sent, and their entries are
//     let go: the follower reads them from the log.
// (3) Frames of an earlier link between the same nodes are not heard: they come from another
//     actor than the other end is now.
#pragma once

#include "actors/cluster_interfaces.hpp"
#include "actors/environment.hpp"
#include "model/draft_order.hpp"
#include "net/wire/link_hello.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <deque>
#include <functional>
#include <unordered_map>

namespace confab::actors {

struct link_options {
  /// What this node says of itself.
  net::wire::link_hello own;
  /// The other node's incarnation.
  std::string other;
  /// Entries that are not acknowledged, at most.
  std::size_t window_bytes = 4 * 1024 * 1024;
};

struct node_link_state {
  using self_pointer = node_link_actor::stateful_pointer<node_link_state>;

  explicit node_link_state(self_pointer parent) : self{parent} {}

  // The link itself.

  void open(const gate_actor& gate);
  void accept(const link_end_actor& end);
  void welcome(const std::string& bytes);
  void frame(const std::string& bytes);
  void flush();
  void tick();
  void lease(bool held);
  void down(const caf::down_msg& x);
  void come_up(const link_end_actor& end);
  void go_down(const std::string& why);
  void acknowledged(std::uint64_t serial);
  /// Something is to be sent, with what comes along in the mailbox.
  void due();
  void send_frame(std::string bytes, bool counts);
  void add_slots(net::wire::link_frame_writer& to);

  // As the follower's end.

  void follow(const model::conversation_name& x, const follower_actor& who);
  void unfollow(const model::conversation_name& x, const follower_actor& who);
  void append(const net::wire::append_record& x, const follower_actor& from);
  void take(const net::wire::answer_record& x);
  void take(const net::wire::announcement_record& x);
  void take(const net::wire::lease_record& x);
  void pass_answers();

  // As the home's end.

  void take(const net::wire::follow_record& x) { serve(x.name); }
  void take(const net::wire::unfollow_record& x);
  void take(const net::wire::wake_record& x);
  void take(const net::wire::append_record& x);
  void serve(const model::conversation_name& x);
  /// Those of a conversation whose turn it is.
  void pass_appends(const model::conversation_name& x);
  void receipts(const append_answers& x);
  void announce(const announcement& x);

  /// Runs `x` with the conversation's handle, now or when the directory has answered; tasks of one
  /// name keep their order.
  using task = std::function<void(const conversation_actor&)>;
  void with(const model::conversation_name& name, task x);
  /// The handle is of an actor that has moved.
  void forget(const model::conversation_name& name);
  void forget_some();

  self_pointer self;
  environment* env = nullptr;
  link_options how;
  directory_actor directory;
  link_listener listener;

  /// The other end; null: the link is down.
  link_end_actor end;
  /// Where a hello was sent; `end` is not known yet.
  bool saying_hello = false;
  /// Why it was refused last.
  std::string refused;
  /// Whether this node holds its lease.
  bool lease_held = false;
  std::uint64_t sent = 0, handled = 0;
  bool ack_due = false, flushing = false, ticking = false;
  struct sent_frame {
    std::uint64_t serial;
    std::size_t bytes;
    caf::actor_clock::time_point at;
  };
  std::deque<sent_frame> unacknowledged;
  std::size_t unacknowledged_bytes = 0;

  /// What goes with the next frame: records in order, and the slots of conversations.
  std::vector<net::wire::link_record> records;
  struct slot {
    announcement newest;
    std::vector<model::run_ptr> runs;
    std::size_t bytes = 0;
  };
  std::unordered_map<model::conversation_name, slot> slots;
  std::vector<model::conversation_name> slot_order;

  std::unordered_map<model::conversation_name, follower_actor> following;
  struct forwarded {
    follower_actor from;
    std::uint64_t request;
  };
  std::unordered_map<std::uint64_t, forwarded> forwards;
  std::uint64_t last_request = 0;
  /// Answers of the frame that is being read, by follower.
  std::vector<std::pair<follower_actor, append_answers>> answers;

  struct served {
    conversation_actor actor;
    std::vector<task> waiting;
    bool followed = false;
    /// The one that was asked to be followed; `actor` may be forgotten meanwhile.
    conversation_actor followed_at;
    model::draft_order<conversation_actor> order;
  };
  std::unordered_map<model::conversation_name, served> serving;
  struct appending {
    model::conversation_name name;
    publication what;
    /// As the other end calls it.
    std::uint64_t request;
  };
  /// By numbers of this end's own: the other one may begin anew, and count anew, while a
  /// conversation still answers what came before.
  std::unordered_map<std::uint64_t, appending> appends;
  std::uint64_t last_append = 0;

  static inline const char* name = "node_link";
};

node_link_actor::behavior_type node_link(node_link_state::self_pointer self, link_options how,
                                         directory_actor directory, link_listener listener,
                                         environment* env);

} // namespace confab::actors
