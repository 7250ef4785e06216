// This node's part in a cluster: spawns and ends the actors that it takes (DESIGN §8).
#pragma once

#include "actors/cluster_interfaces.hpp"
#include "actors/cluster_options.hpp"
#include "actors/environment.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include <memory>

namespace confab::actors {

class cluster_node {
public:
  /// What the actor system needs for it.
  static void prepare(caf::actor_system_config& system, const cluster_options& how);

  /// Listens for other nodes, then takes a lease: from then on conversations may have their home
  /// here. Errors: `store_failed`, with a text that names the option.
  [[nodiscard]] static model::result<std::unique_ptr<cluster_node>>
  start(caf::actor_system& system, const cluster_options& how, const directory_actor& directory,
        environment& env);

  /// A planned end: homes move to others, while this node goes on following them.
  void leave();
  /// Ends all actors. @pre nobody publishes any more.
  void stop();

private:
  cluster_node(caf::actor_system& system, cluster_actor cluster)
    : system_{system}, cluster_{std::move(cluster)} {}

  caf::actor_system& system_;
  cluster_actor cluster_;
  membership_actor membership_;
};

} // namespace confab::actors
