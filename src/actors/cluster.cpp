#include "actors/cluster.hpp"

#include "actors/node_link.hpp"
#include "actors/tls_guard.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace confab::actors {

namespace {

constexpr std::chrono::milliseconds tick_period{100};
constexpr std::chrono::seconds connect_patience{5};
constexpr std::chrono::milliseconds retry_first{100}, retry_most{2'000};
/// Ends that have no lease wait for it; more than a cluster has nodes are not kept.
constexpr std::size_t guests_max = 1'024;
constexpr std::size_t complaints_max = 1'024;
/// DESIGN §8.
constexpr std::chrono::seconds leaseless_max{10};

std::chrono::milliseconds pause_after(int failures) {
  return std::min(retry_most, retry_first * (1 << std::min(failures, 5)));
}

/// CAF says only that the connection ended.
std::string reason_of(caf::actor_system& system, const caf::error& why,
                      std::chrono::steady_clock::time_point begun) {
  auto text = system.render(why);
  auto refusal = newest_tls_refusal(begun);
  if (!refusal.empty())
    return text + ": " + refusal;
  if (why == caf::sec::disconnect_during_handshake)
    text += ": one of the two may want a certificate that the other one does not have";
  return text;
}

} // namespace

void cluster_state::members(const member_list& x) {
  auto lease_changed = !live || live->own != x->own;
  live = x;
  std::map<std::string, node> now;
  for (const auto& who : x->all) {
    if (who.incarnation == how.own.incarnation)
      continue;
    auto known = nodes.extract(who.incarnation);
    if (known) {
      known.mapped().who = who;
      now.insert(std::move(known));
      continue;
    }
    auto& made = now[who.incarnation];
    made.who = who;
    made.link = self->spawn(node_link, link_options{how.own, who.incarnation, how.window_bytes},
                            directory, link_listener{self}, env);
    self->send(made.link, atom::lease::value, live->own);
  }
  for (const auto& [incarnation, gone] : std::exchange(nodes, std::move(now)))
    self->send_exit(gone.link, caf::exit_reason::user_shutdown);
  if (lease_changed) {
    leaseless_since = live->own ? std::nullopt : std::optional{self->clock().now()};
    for (const auto& [incarnation, other] : nodes)
      self->send(other.link, atom::lease::value, live->own);
  }
  welcome_guests();
  place();
}

void cluster_state::linked(const std::string& incarnation, bool up) {
  auto i = nodes.find(incarnation);
  // An earlier link to the same node, which left and came back, may have said it.
  if (i == nodes.end() || self->current_sender() != i->second.link || i->second.up == up)
    return;
  i->second.up = up;
  i->second.holds_lease = false;
  i->second.failures = 0;
  i->second.retry_at = self->clock().now() + retry_first;
  place();
}

void cluster_state::lease(const std::string& incarnation, bool held) {
  if (auto i = nodes.find(incarnation);
      i != nodes.end() && self->current_sender() == i->second.link)
    i->second.holds_lease = held;
}

void cluster_state::watch_lease() {
  auto leaseless = leaseless_since && self->clock().now() - *leaseless_since >= leaseless_max;
  env->others_serve = leaseless && others_serve();
}

bool cluster_state::others_serve() const {
  auto linked = [](const auto& x) { return x.second.up; };
  if (std::none_of(nodes.begin(), nodes.end(), linked))
    return !nodes.empty();
  return std::any_of(nodes.begin(), nodes.end(),
                     [](const auto& x) { return x.second.up && x.second.holds_lease; });
}

void cluster_state::hello(const std::string& bytes, const link_end_actor& end) {
  auto said = net::wire::read_link_hello(bytes);
  if (!said)
    return complain("somebody who connected " + said.why().detail);
  if (said->cluster != how.own.cluster || said->protocol != how.own.protocol) {
    complain("node " + said->incarnation + " of cluster \"" + said->cluster + "\", protocol " +
             std::to_string(said->protocol) + ", was refused: this is cluster \"" +
             how.own.cluster + "\", protocol " + std::to_string(how.own.protocol));
    self->send(end, atom::welcome::value, net::wire::make_link_hello(how.own));
    return;
  }
  // For the process that had this address before: its lease has not run out yet.
  if (said->to != how.own.incarnation)
    return self->send(end, atom::welcome::value, net::wire::make_link_hello(how.own));
  if (guests.size() < guests_max)
    guests[said->incarnation] = end;
  welcome_guests();
}

void cluster_state::welcome_guests() {
  std::erase_if(guests, [this](const auto& guest) {
    auto i = nodes.find(guest.first);
    if (i == nodes.end())
      return false;
    self->send(i->second.link, atom::hello::value, guest.second);
    return true;
  });
}

void cluster_state::tick() {
  self->delayed_send(self, tick_period, atom::tick::value);
  if (how.watch_strangers)
    how.watch_strangers();
  watch_lease();
  auto now = self->clock().now();
  for (const auto& [incarnation, x] : nodes)
    if (!x.up && !x.connecting && now >= x.retry_at && how.own.incarnation < incarnation)
      connect(incarnation);
}

void cluster_state::connect(const std::string& incarnation) {
  auto& x = nodes.at(incarnation);
  x.connecting = true;
  how.connect(self, x.who, [this, incarnation](const gate_actor& gate, const std::string& why) {
    auto i = nodes.find(incarnation);
    if (i == nodes.end())
      return;
    auto& found = i->second;
    found.connecting = false;
    found.retry_at = self->clock().now() + pause_after(found.failures++);
    if (gate)
      self->send(found.link, atom::open::value, gate);
    else
      complain("node " + incarnation + " at " + found.who.address + ':' +
               std::to_string(found.who.port) + " cannot be reached: " + why);
  });
}

void cluster_state::place() {
  if (!live)
    return;
  auto view = std::make_shared<cluster_view>();
  view->own = how.own.incarnation;
  // Without those that cannot be reached: when a node dies, all others leave it out at once, and
  // not only when its lease runs out. Where two nodes cannot reach each other and do not agree, the
  // log keeps one order, and whoever reaches both passes on what it hears.
  std::vector<std::string> incarnations;
  if (live->own)
    incarnations.push_back(view->own);
  for (const auto& [incarnation, x] : nodes)
    if (x.up) {
      incarnations.push_back(incarnation);
      view->links.emplace(incarnation, x.link);
    }
  view->homes = model::placement{std::move(incarnations)};
  view->whole = view->links.size() == nodes.size();
  if (live->own)
    view->live.push_back(view->own);
  for (const auto& [incarnation, x] : nodes)
    view->live.push_back(incarnation);
  self->send(directory, atom::placed::value, cluster_view_ptr{std::move(view)});
}

void cluster_state::complain(const std::string& text) {
  if (complaints.size() < complaints_max && complaints.insert(text).second)
    spdlog::warn("cluster: {}", text);
}

cluster_actor::behavior_type cluster(cluster_state::self_pointer self, cluster_settings how,
                                     directory_actor directory, environment* env) {
  abort_on_exceptions(*self);
  auto& state = self->state;
  state.env = env;
  state.how = std::move(how);
  state.directory = std::move(directory);
  self->send(self, atom::tick::value);
  self->set_exit_handler([&state](const caf::exit_msg& why) {
    for (const auto& [incarnation, x] : state.nodes)
      state.self->send_exit(x.link, why.reason);
    state.nodes.clear();
    state.directory = nullptr;
    state.self->quit(why.reason);
  });
  return {
      [&state](atom::hello, const std::string& bytes, const link_end_actor& end) {
        state.hello(bytes, end);
      },
      [&state](atom::members, const member_list& x) { state.members(x); },
      [&state](atom::linked, const std::string& incarnation, bool up) {
        state.linked(incarnation, up);
      },
      [&state](atom::lease, const std::string& incarnation, bool held) {
        state.lease(incarnation, held);
      },
      [&state](atom::tick) { state.tick(); },
  };
}

decltype(cluster_settings::connect) connect_by(caf::io::middleman_actor middleman) {
  return [middleman](cluster_actor::pointer self, const model::member& to,
                     cluster_settings::gate_found found) {
    auto begun = std::chrono::steady_clock::now();
    self->request(middleman, connect_patience, caf::connect_atom::value, to.address, to.port)
        .then(
            [found](const caf::node_id&, const caf::strong_actor_ptr& gate,
                    const std::set<std::string>&) {
              found(caf::actor_cast<gate_actor>(gate), "nothing is published there");
            },
            [self, found, begun](const caf::error& why) {
              found({}, reason_of(self->system(), why, begun));
            });
  };
}

} // namespace confab::actors
