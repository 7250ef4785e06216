#include "actors/cluster_node.hpp"

#include "actors/basp_guard.hpp"
#include "actors/cluster.hpp"
#include "actors/membership.hpp"
#include "actors/tls_guard.hpp"
#include "store/redis_leases.hpp"

#include <caf/io/middleman.hpp>
#include <caf/openssl/manager.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include <spdlog/spdlog.h>

#include <cstdlib>
#include <random>

namespace confab::actors {

namespace {

/// Longest wait for Redis and for CAF at the start and at the end.
constexpr std::chrono::seconds patience{5};
/// Silence of so many heartbeats is a dead node.
constexpr int heartbeats_missed_max = 3;

bool encrypted(const cluster_options& x) {
  return !x.certificate.empty();
}

caf::io::middleman_actor middleman_of(caf::actor_system& system, const cluster_options& how) {
  return encrypted(how) ? system.openssl_manager().actor_handle()
                        : system.middleman().actor_handle();
}

/// Without its guards anybody who can connect can end the node.
void require_guards(caf::actor_system& system, const cluster_options& how) {
  if (basp_is_guarded(system) && (!encrypted(how) || tls_is_guarded(system)))
    return;
  spdlog::critical(
      "CAF does not ask the guards of cluster.port: the program was linked so that its "
      "symbols do not come first");
  std::abort();
}

} // namespace

void cluster_node::prepare(caf::actor_system_config& system, const cluster_options& how) {
  system.load<caf::io::middleman>();
  if (encrypted(how)) {
    system.load<caf::openssl::manager>();
    system.set("openssl.certificate", how.certificate);
    system.set("openssl.key", how.key);
    system.set("openssl.cafile", how.ca);
    // These stand in members of their own, too.
    system.openssl_certificate = how.certificate;
    system.openssl_key = how.key;
    system.openssl_cafile = how.ca;
  }
  system.set("middleman.app-identifiers", std::vector<std::string>{"confab"});
  auto heartbeat = std::chrono::milliseconds{how.heartbeat_ms};
  system.set("middleman.heartbeat-interval", caf::timespan{heartbeat});
  system.set("middleman.connection-timeout", caf::timespan{heartbeat * heartbeats_missed_max});
  system.add_message_type<link_end_actor>("link_end");
}

model::result<std::unique_ptr<cluster_node>> cluster_node::start(caf::actor_system& system,
                                                                 const cluster_options& how,
                                                                 const directory_actor& directory,
                                                                 environment& env) {
  require_guards(system, how);
  auto middleman = middleman_of(system, how);
  cluster_settings settings;
  settings.own = {.cluster = how.name,
                  .protocol = net::wire::link_protocol,
                  .version = CONFAB_VERSION,
                  .incarnation = env.incarnation};
  settings.window_bytes = how.window_bytes;
  settings.connect = connect_by(middleman);
  settings.watch_strangers = [&system] { limit_silence(system); };
  std::unique_ptr<cluster_node> made{new cluster_node{
      system, system.spawn(actors::cluster, std::move(settings), directory, &env)}};
  caf::scoped_actor self{system};
  std::optional<model::error> failed;
  self->request(middleman, patience, caf::publish_atom::value, how.port,
                caf::actor_cast<caf::strong_actor_ptr>(made->cluster_),
                system.message_types(made->cluster_), how.address, true)
      .receive([](std::uint16_t) {},
               [&](const caf::error& why) {
                 failed = model::error{model::code::store_failed,
                                       "cluster.port: nothing can listen at " + how.address + ':' +
                                           std::to_string(how.port) + ": " + system.render(why)};
               });
  if (failed) {
    made->stop();
    return *failed;
  }
  membership_options joining;
  joining.own.who = {.incarnation = env.incarnation,
                     .address = how.advertise,
                     .port = how.port,
                     .version = CONFAB_VERSION,
                     .protocol = net::wire::link_protocol};
  joining.own.cluster = how.name;
  joining.own.client_url = how.client_url;
  joining.lease_ms = how.lease_ms;
  joining.leases = std::make_shared<store::redis_leases>(how.redis, how.lease_ms);
  joining.seed = std::random_device{}();
  made->membership_ = system.spawn<caf::detached>(membership, std::move(joining),
                                                  members_listener{made->cluster_}, &env);
  return made;
}

void cluster_node::leave() {
  caf::scoped_actor self{system_};
  // One that could not be given up runs out.
  self->request(membership_, patience, atom::leave::value)
      .receive([](bool) {}, [](const caf::error&) {});
}

void cluster_node::stop() {
  caf::scoped_actor self{system_};
  auto end = [&](const auto& x) {
    if (!x)
      return;
    self->send_exit(x, caf::exit_reason::user_shutdown);
    self->wait_for(x);
  };
  end(membership_);
  end(cluster_);
  membership_ = nullptr;
  cluster_ = nullptr;
}

} // namespace confab::actors
