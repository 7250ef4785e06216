#include "actors/node_link.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace confab::actors {

namespace {

/// A frame is sent when it has grown to this.
constexpr std::size_t frame_bytes = 1024 * 1024;
/// An end that handles nothing for so long is taken for dead; CAF's heartbeats notice a dead
/// process long before.
constexpr std::chrono::seconds silence_max{10};
constexpr std::chrono::seconds tick_period{1};

} // namespace

void node_link_state::open(const gate_actor& gate) {
  if (end)
    return;
  saying_hello = true;
  auto hello = how.own;
  hello.to = how.other;
  self->send(gate, atom::hello::value, net::wire::make_link_hello(hello), link_end_actor{self});
}

void node_link_state::accept(const link_end_actor& x) {
  if (end)
    go_down("the other node has begun it anew");
  come_up(x);
  self->send(end, atom::welcome::value, net::wire::make_link_hello(how.own));
}

void node_link_state::welcome(const std::string& bytes) {
  if (end || !saying_hello)
    return;
  auto said = net::wire::read_link_hello(bytes);
  auto from = caf::actor_cast<link_end_actor>(self->current_sender());
  if (!said || !from || said->incarnation != how.other) {
    saying_hello = false;
    auto why =
        said ? "the node there is " + said->incarnation + " of cluster \"" + said->cluster + '"'
             : said.why().detail;
    if (std::exchange(refused, why) != why)
      spdlog::warn("link to {}: refused: {}", how.other, why);
    return;
  }
  come_up(from);
}

void node_link_state::come_up(const link_end_actor& x) {
  saying_hello = false;
  end = x;
  self->monitor(end);
  spdlog::info("link to {}: up", how.other);
  self->send(listener, atom::linked::value, how.other, true);
  lease(lease_held);
  if (!std::exchange(ticking, true))
    self->delayed_send(self, tick_period, atom::tick::value);
}

void node_link_state::down(const caf::down_msg& x) {
  if (end && x.source == caf::actor_cast<caf::actor_addr>(end))
    go_down("the other node has gone: " + self->system().render(x.reason));
}

void node_link_state::go_down(const std::string& why) {
  spdlog::warn("link to {}: down: {}", how.other, why);
  self->demonitor(end.address());
  self->send(end, atom::frame::value, std::string{}); // it may not know
  end = nullptr;
  sent = handled = 0;
  ack_due = false;
  unacknowledged.clear();
  unacknowledged_bytes = 0;
  records.clear();
  slots.clear();
  slot_order.clear();
  following.clear();
  forwards.clear();
  for (const auto& [name_of_it, x] : std::exchange(serving, {}))
    if (x.followed_at)
      self->send(x.followed_at, atom::unfollow::value, link_actor{self});
  appends.clear();
  self->send(listener, atom::linked::value, how.other, false);
}

void node_link_state::tick() {
  ticking = false;
  if (!end)
    return;
  ticking = true;
  self->delayed_send(self, tick_period, atom::tick::value);
  if (!unacknowledged.empty() && self->clock().now() - unacknowledged.front().at > silence_max)
    go_down("the other node has handled nothing for a while");
}

void node_link_state::lease(bool held) {
  lease_held = held;
  if (!end)
    return;
  records.emplace_back(net::wire::lease_record{held});
  due();
}

void node_link_state::due() {
  if (end && !std::exchange(flushing, true))
    self->send(self, atom::flush::value); // behind what is in the mailbox
}

void node_link_state::send_frame(std::string bytes, bool counts) {
  ack_due = false;
  if (counts) {
    unacknowledged.push_back({sent, bytes.size(), self->clock().now()});
    unacknowledged_bytes += bytes.size();
  }
  env->counted.link_frames.add();
  env->counted.link_bytes.add(bytes.size());
  self->send(end, atom::frame::value, std::move(bytes));
}

void node_link_state::flush() {
  flushing = false;
  if (!end)
    return;
  auto all = std::exchange(records, {});
  auto more = all.begin();
  while (more != all.end() || ack_due ||
         (!slot_order.empty() && unacknowledged_bytes < how.window_bytes)) {
    net::wire::link_frame_writer to{++sent, handled};
    auto empty = to.size();
    for (; more != all.end() && to.size() < frame_bytes; ++more)
      std::visit([&](const auto& x) { to.add(x); }, *more);
    add_slots(to);
    auto counts = to.size() > empty;
    send_frame(std::move(to).finish(), counts);
  }
}

void node_link_state::add_slots(net::wire::link_frame_writer& to) {
  if (unacknowledged_bytes >= how.window_bytes)
    return;
  std::size_t done = 0;
  do {
    if (done == slot_order.size())
      break;
    auto its = slots.extract(slot_order[done++]);
    auto& x = its.mapped();
    to.add({x.newest->name, x.newest->state, std::move(x.runs)});
  } while (to.size() < frame_bytes && unacknowledged_bytes + to.size() < how.window_bytes);
  env->counted.link_announcements.add(done);
  slot_order.erase(slot_order.begin(), slot_order.begin() + static_cast<std::ptrdiff_t>(done));
}

void node_link_state::frame(const std::string& bytes) {
  if (!end || self->current_sender() != caf::actor_cast<caf::strong_actor_ptr>(end))
    return;
  if (bytes.empty())
    return go_down("the other node has ended it");
  auto read = net::wire::read_link_frame(bytes, &env->cache);
  if (!read)
    return go_down("the other node has sent " + read.why().detail);
  if (read->serial != handled + 1)
    return go_down("frames are missing");
  if (read->acked > sent)
    return go_down("the other node acknowledges what was not sent");
  handled = read->serial;
  acknowledged(read->acked);
  for (auto& record : read->records) {
    std::visit([this](const auto& x) { take(x); }, record);
    if (!end)
      return;
  }
  pass_answers();
  // Whoever gets nothing but an acknowledgement does not acknowledge it.
  ack_due = ack_due || read->says_something;
  if (ack_due || !slot_order.empty())
    due();
}

void node_link_state::acknowledged(std::uint64_t serial) {
  while (!unacknowledged.empty() && unacknowledged.front().serial <= serial) {
    unacknowledged_bytes -= unacknowledged.front().bytes;
    unacknowledged.pop_front();
  }
}

node_link_actor::behavior_type node_link(node_link_state::self_pointer self, link_options how,
                                         directory_actor directory, link_listener listener,
                                         environment* env) {
  abort_on_exceptions(*self);
  auto& state = self->state;
  state.env = env;
  state.how = std::move(how);
  state.directory = std::move(directory);
  state.listener = std::move(listener);
  self->set_down_handler([&state](const caf::down_msg& x) { state.down(x); });
  // Conversations hold the link and it holds them: this breaks the cycle.
  self->set_exit_handler([&state](const caf::exit_msg& why) {
    if (state.end)
      state.go_down("the node has left, or this one does");
    state.directory = nullptr;
    state.listener = nullptr;
    state.self->quit(why.reason);
  });
  return {
      [&state](atom::announce, const announcement& x) { state.announce(x); },
      [&state](atom::follow, const model::conversation_name& x, const follower_actor& who) {
        state.follow(x, who);
      },
      [&state](atom::unfollow, const model::conversation_name& x, const follower_actor& who) {
        state.unfollow(x, who);
      },
      [&state](atom::append, const net::wire::append_record& x, const follower_actor& from) {
        state.append(x, from);
      },
      [&state](atom::wake_up, const model::conversation_name& x) {
        state.records.emplace_back(net::wire::wake_record{x});
        state.due();
      },
      [&state](atom::receipts, const append_answers& x) { state.receipts(x); },
      // A link subscribes to nothing.
      [](atom::superseded, const model::conversation_name&) {},
      [&state](atom::open, const gate_actor& gate) { state.open(gate); },
      [&state](atom::hello, const link_end_actor& x) { state.accept(x); },
      [&state](atom::welcome, const std::string& bytes) { state.welcome(bytes); },
      [&state](atom::frame, const std::string& bytes) { state.frame(bytes); },
      [&state](atom::lease, bool held) { state.lease(held); },
      [&state](atom::flush) { state.flush(); },
      [&state](atom::tick) { state.tick(); },
  };
}

} // namespace confab::actors
