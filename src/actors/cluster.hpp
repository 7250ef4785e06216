// Links to the other members of the cluster, and who is home of what (DESIGN §8).
//
// Of two nodes the one whose incarnation is lower connects; the other one welcomes it. A link that
// goes down is begun anew. Whenever members or links have changed, the directory gets a new
// `cluster_view`.
#pragma once

#include "actors/cluster_interfaces.hpp"
#include "actors/environment.hpp"
#include "net/wire/link_hello.hpp"

#include <caf/io/middleman_actor.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <functional>
#include <map>
#include <set>

namespace confab::actors {

struct cluster_settings {
  /// What this node says of itself.
  net::wire::link_hello own;
  std::size_t window_bytes = 4 * 1024 * 1024;
  /// Begins a connection to that node; tells `found` its gate, or nothing and why. By the
  /// middleman; tests connect otherwise.
  using gate_found = std::function<void(const gate_actor&, const std::string& why)>;
  std::function<void(cluster_actor::pointer self, const model::member& to, gate_found found)>
      connect;
  /// Called with each tick; may be empty.
  std::function<void()> watch_strangers = {};
};

struct cluster_state {
  using self_pointer = cluster_actor::stateful_pointer<cluster_state>;

  explicit cluster_state(self_pointer parent) : self{parent} {}

  void members(const member_list& x);
  void linked(const std::string& incarnation, bool up);
  void lease(const std::string& incarnation, bool held);
  void hello(const std::string& bytes, const link_end_actor& end);
  void tick();

  // Steps of the above.

  void welcome_guests();
  void connect(const std::string& incarnation);
  void place();
  /// Whether this node has been without its lease for a while, and others have theirs.
  void watch_lease();
  /// Others hold leases, as they say; or none can be reached to say it.
  [[nodiscard]] bool others_serve() const;
  /// Logs it, once for each text.
  void complain(const std::string& text);

  struct node {
    model::member who;
    node_link_actor link;
    bool up = false;
    bool holds_lease = false;
    bool connecting = false;
    int failures = 0;
    caf::actor_clock::time_point retry_at{};
  };

  self_pointer self;
  environment* env = nullptr;
  cluster_settings how;
  directory_actor directory;
  member_list live;
  /// Since when this node is without a lease.
  std::optional<caf::actor_clock::time_point> leaseless_since;
  /// The other members, by incarnation.
  std::map<std::string, node> nodes;
  /// Ends that have said hello before their lease was seen.
  std::map<std::string, link_end_actor> guests;
  std::set<std::string> complaints;

  static inline const char* name = "cluster";
};

cluster_actor::behavior_type cluster(cluster_state::self_pointer self, cluster_settings how,
                                     directory_actor directory, environment* env);

/// Connects by CAF's middleman, or by its TLS variant.
[[nodiscard]] decltype(cluster_settings::connect) connect_by(caf::io::middleman_actor middleman);

} // namespace confab::actors
