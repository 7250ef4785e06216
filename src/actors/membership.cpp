#include "actors/membership.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace confab::actors {

namespace {

std::string shown(const model::member& x) {
  return x.incarnation + " at " + model::endpoint(x.address, x.port);
}

/// In `xs` and not in `ys`, by incarnation, for each.
template <class Do>
void for_each_missing(const std::vector<model::member>& xs, const std::vector<model::member>& ys,
                      Do what) {
  auto by_incarnation = [](const model::member& a, const model::member& b) {
    return a.incarnation < b.incarnation;
  };
  for (const auto& x : xs)
    if (!std::binary_search(ys.begin(), ys.end(), x, by_incarnation))
      what(x);
}

} // namespace

void membership_state::work() {
  // Before a call that may block.
  if (told && told->own && !held())
    announce();
  auto sent = self->clock().now();
  auto live = ask();
  if (live) {
    env->redis_health.up("leases");
    if (!left)
      own_until = sent + std::chrono::milliseconds{how.lease_ms};
    take(*live);
  } else {
    env->redis_health.down("leases", live.why().detail);
  }
  announce();
  work_again(static_cast<bool>(live));
}

model::result<std::vector<store::lease>> membership_state::ask() {
  if (left)
    return how.leases->list();
  how.own.load = {env->load.connections, env->load.conversations, env->load.homes};
  return how.leases->renew(how.own);
}

void membership_state::take(const std::vector<store::lease>& live) {
  others.clear();
  std::set<std::string> strangers;
  for (const auto& x : live) {
    if (x.who.incarnation == how.own.who.incarnation)
      continue;
    if (belongs(x))
      others.push_back(x.who);
    else
      strangers.insert(x.who.incarnation);
  }
  left_out = std::move(strangers);
  complain_about_rows();
}

bool membership_state::belongs(const store::lease& x) {
  const auto& own = how.own;
  auto same_cluster = x.cluster == own.cluster;
  if (same_cluster && x.who.protocol == own.who.protocol)
    return true;
  if (left_out.contains(x.who.incarnation))
    return false;
  if (!same_cluster)
    spdlog::warn("cluster: node {} is left out: it is of cluster {}, this one of {}. Give both the "
                 "same cluster.name, or each cluster a redis.database of its own",
                 shown(x.who), x.cluster, own.cluster);
  else
    spdlog::warn("cluster: node {} is left out: its version {} speaks protocol {} between nodes, "
                 "this one's {} speaks {}. Upgrade the older of the two",
                 shown(x.who), x.who.version, x.who.protocol, own.who.version, own.who.protocol);
  return false;
}

void membership_state::complain_about_rows() {
  auto now = how.leases->unreadable();
  if (now > unreadable)
    spdlog::warn(
        "cluster: {} rows of confab:nodes are no leases and are left out; look with HGETALL, "
        "and HDEL what is not of a later version",
        now);
  unreadable = now;
}

bool membership_state::held() const {
  return self->clock().now() < own_until;
}

void membership_state::announce() {
  auto now = std::make_shared<live_members>();
  now->all = others;
  now->own = held();
  if (now->own) {
    const auto& own = how.own.who;
    auto place = std::find_if(now->all.begin(), now->all.end(), [&](const model::member& x) {
      return own.incarnation < x.incarnation;
    });
    now->all.insert(place, own);
  }
  if (told && *told == *now)
    return;
  log_changes(*now);
  told = std::move(now);
  self->send(listener, atom::members::value, told);
}

void membership_state::log_changes(const live_members& now) const {
  static const live_members nobody;
  const auto& before = told ? *told : nobody;
  const auto& own = how.own.who.incarnation;
  if (now.own && !before.own)
    spdlog::info("cluster: this node is {}, of cluster {}", shown(how.own.who), how.own.cluster);
  if (before.own && !now.own && !left)
    spdlog::error("cluster: the lease of this node, {}, ran out; it is home of no conversation "
                  "until Redis renews it",
                  own);
  for_each_missing(now.all, before.all, [&](const model::member& x) {
    if (x.incarnation != own)
      spdlog::info("cluster: node {}, version {}, is there", shown(x), x.version);
  });
  for_each_missing(before.all, now.all, [&](const model::member& x) {
    if (x.incarnation != own)
      spdlog::info("cluster: node {} has left, or its lease ran out", shown(x));
  });
}

bool membership_state::leave() {
  left = true;
  own_until = {};
  auto released = how.leases->release(how.own.who.incarnation);
  if (!released)
    spdlog::warn(
        "cluster: the lease of this node could not be given up, and runs out by itself: {}",
        released.why().detail);
  announce();
  return static_cast<bool>(released);
}

void membership_state::work_again(bool answered) {
  using std::chrono::milliseconds;
  auto step = milliseconds{how.lease_ms / (answered ? 3 : 10)};
  // Nodes that began together do not come together for ever.
  auto part = static_cast<std::uint32_t>(step.count() / 4 + 1);
  caf::actor_clock::duration_type wait = step - milliseconds{random() % part};
  auto now = self->clock().now();
  if (now < own_until)
    wait = std::min(wait, own_until - now);
  self->delayed_send(self, wait, atom::work::value);
}

membership_actor::behavior_type membership(membership_state::self_pointer self,
                                           membership_options how, members_listener to,
                                           environment* env) {
  abort_on_exceptions(*self);
  auto& state = self->state;
  state.env = env;
  state.random.seed(how.seed);
  state.how = std::move(how);
  state.listener = std::move(to);
  self->send(self, atom::work::value);
  return {
      [&state](atom::work) { state.work(); },
      [&state](atom::leave) { return state.leave(); },
  };
}

} // namespace confab::actors
