// What happens between the nodes of the simulated world: links, cuts, members that come and go; and
// how each of them stands.
#include "simulation/world.hpp"

#include "actors/cluster.hpp"
#include "actors/conversation.hpp"
#include "actors/directory.hpp"
#include "actors/node_link.hpp"

#include <caf/send.hpp>

namespace confab::test {

namespace {

/// Answers the hello of a link by laying a wire.
actors::gate_actor::behavior_type
gate(actors::gate_actor::pointer,
     std::function<void(const std::string&, const actors::link_end_actor&)> lay) {
  return {[lay](actors::atom::hello, const std::string& hello, const actors::link_end_actor& from) {
    lay(hello, from);
  }};
}

} // namespace

void world::build_cluster() {
  for (auto& x : nodes_) {
    actors::cluster_settings settings;
    settings.own.cluster = "simulated";
    settings.own.version = "0";
    settings.own.incarnation = x.incarnation;
    constexpr std::size_t windows[] = {200, 2000, 1 << 20};
    settings.window_bytes = windows[pick(3)];
    settings.connect = [this](actors::cluster_actor::pointer self, const model::member& to,
                              const actors::cluster_settings::gate_found& found) {
      if (!truth_.calm && chance(20))
        return found({}, "simulated");
      auto lay = [this, other = to.incarnation](const std::string& hello,
                                                const actors::link_end_actor& from) {
        connect_nodes(other, from, hello);
      };
      found(self->spawn(gate, std::function{lay}), {});
    };
    x.cluster =
        system_->system.spawn(actors::cluster, std::move(settings), x.directory, x.env.get());
  }
  for (const auto& x : nodes_)
    tell_members(x);
}

void world::connect_nodes(const std::string& to, const actors::link_end_actor& from,
                          const std::string& hello) {
  auto& system = system_->system;
  wires_.emplace_back(system.spawn(wire, from), system.spawn(wire, actors::link_end_actor{}));
  auto& [near, far] = wires_.back();
  auto weak = [](const wire_actor& x) { return caf::actor_cast<caf::weak_actor_ptr>(x); };
  state_of<wire_state>(near).twin = weak(far);
  state_of<wire_state>(far).twin = weak(near);
  for (const auto& x : nodes_)
    if (x.incarnation == to)
      caf::anon_send(x.cluster, actors::atom::hello::value, hello, actors::link_end_actor{far});
}

void world::cut_wire(std::size_t i) {
  truth_.tell("a wire is cut");
  caf::anon_send_exit(wires_[i].first, caf::exit_reason::kill);
  caf::anon_send_exit(wires_[i].second, caf::exit_reason::kill);
  wires_.erase(wires_.begin() + static_cast<std::ptrdiff_t>(i));
}

void world::tell_members(const node& x) {
  auto now = std::make_shared<actors::live_members>();
  for (const auto& y : nodes_)
    if (y.member)
      now->all.push_back({.incarnation = y.incarnation, .address = {}, .version = {}});
  now->own = x.member;
  caf::anon_send(x.cluster, actors::atom::members::value, actors::member_list{std::move(now)});
}

void world::cluster_acts() {
  auto what = pick(10);
  if (truth_.cut_off && chance(30)) {
    auto& x = nodes_[pick(static_cast<unsigned>(nodes_.size()))];
    *x.log_away = !*x.log_away;
    truth_.tell(x.incarnation + (*x.log_away ? " cannot reach the log" : " reaches the log"));
  } else if (!how_.cluster) {
    return;
  } else if (what < 5) {
    // A node hears of the members as they are now, before or after others do.
    tell_members(nodes_[pick(static_cast<unsigned>(nodes_.size()))]);
  } else if (what < 7) {
    auto& x = nodes_[pick(static_cast<unsigned>(nodes_.size()))];
    x.member = !x.member;
    truth_.tell(x.incarnation + (x.member ? " is a member" : " is no member"));
  } else if (!wires_.empty()) {
    cut_wire(pick(static_cast<unsigned>(wires_.size())));
  }
}

void world::tell_conversations() const {
  for (const auto& x : nodes_) {
    if (!x.cluster)
      continue;
    for (const auto& [other, way] : state_of<actors::cluster_state>(x.cluster).nodes) {
      const auto& its = state_of<actors::node_link_state>(way.link);
      truth_.tell(
          x.incarnation + " to " + other + (way.up ? ": up" : ": down") +
          (its.end ? "" : ", without an end") + ", sent " + std::to_string(its.sent) +
          ", handled " + std::to_string(its.handled) + ", unacknowledged " +
          std::to_string(its.unacknowledged.size()) + ", records " +
          std::to_string(its.records.size()) + ", slots " + std::to_string(its.slots.size()) +
          ", following " + std::to_string(its.following.size()) + ", forwards " +
          std::to_string(its.forwards.size()) + ", serving " + std::to_string(its.serving.size()) +
          ", appends " + std::to_string(its.appends.size()) + (its.flushing ? ", flushing" : ""));
    }
  }
  for (const auto& x : nodes_)
    for (const auto& [name, actor] : state_of<actors::directory_state>(x.directory).active) {
      const auto& its = state_of<actors::conversation_state>(actor);
      truth_.tell(x.incarnation + ' ' + name.text() + ": tail " +
                  std::to_string(its.state.tail.value) + (its.home ? ", a follower" : ", home") +
                  ", in flight " + std::to_string(its.in_flight.size()) + ", forwarded " +
                  std::to_string(its.forwards.size()) + ", held " +
                  std::to_string(its.held.size()) + ", looked up " +
                  std::to_string(its.looking_up.size()) + ", controls " +
                  std::to_string(its.controls.size()) + ", followers " +
                  std::to_string(its.followers.size()) + (its.closing ? ", closing" : "") +
                  (its.opening ? ", opening" : "") + (its.looking ? ", looking" : ""));
    }
}

} // namespace confab::test
