// This node's actor system: spawns the actors over a store and is the backend of the sockets.
#pragma once

#include "actors/cluster_node.hpp"
#include "actors/environment.hpp"
#include "actors/redis_streams.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include <atomic>

namespace confab::actors {

/// The CAF settings of DESIGN §5; figures in docs/performance.md.
class node_config : public caf::actor_system_config {
public:
  explicit node_config(const std::optional<cluster_options>& cluster = {});
};

class node final : public net::backend {
public:
  /// @param log outlives the node, and so does `env`.
  /// @param cluster nothing: this node is alone. The log is then one that several may append to.
  node(store::log_store& log, environment& env, std::optional<cluster_options> cluster = {});
  ~node() override;

  /// Opens the sessions of the store and spawns. `pages` gets what the readers read.
  /// @param streams of Redis, if there is one.
  /// Errors: as `log_store::reader`, `redis_streams::open`, `cluster_node::start`.
  [[nodiscard]] model::status start(net::pages& pages, std::size_t readers,
                                    const std::optional<streams_options>& streams = {});

  /// A planned end is near: homes move to other nodes, and this one goes on serving its clients.
  void leave();

  /// Commits what is queued, then ends all actors. Nobody may call the backend any more.
  void stop();

  [[nodiscard]] std::unique_ptr<net::actor_turns> join(std::function<void()> wake) override;
  [[nodiscard]] std::unique_ptr<net::client_port> connect(net::client_ref session,
                                                          net::client_identity who) override;
  void read(net::page_request x) override;
  [[nodiscard]] net::readiness ready() const override;
  void measure(net::metrics& to) const override;

private:
  store::log_store& log_;
  environment& env_;
  std::optional<cluster_options> how_;
  node_config config_{how_};
  caf::actor_system system_{config_};
  ledger_writer_actor writer_;
  std::shared_ptr<const std::vector<log_reader_actor>> readers_;
  directory_actor directory_;
  std::unique_ptr<redis_streams> streams_;
  std::unique_ptr<cluster_node> cluster_;
  std::atomic<std::uint64_t> connections_{0};
  std::atomic<std::uint64_t> reads_{0};
};

} // namespace confab::actors
