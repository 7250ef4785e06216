// Where the nodes of a cluster find each other: leases that each renews, and all read.
#pragma once

#include "model/error.hpp"
#include "model/placement.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace confab::store {

/// So many nodes have leases at once; one more is refused.
inline constexpr std::size_t nodes_max = 1'024;
/// No lease is longer: what claims to be is none, e.g. after Redis's clock was set back.
inline constexpr std::int64_t lease_ms_max = 60'000;

/// For people; placement does not look at it.
struct node_load {
  std::uint64_t connections = 0;
  std::uint64_t conversations = 0;
  /// Conversations whose home the node is.
  std::uint64_t homes = 0;

  friend bool operator==(const node_load&, const node_load&) = default;
};

struct lease {
  model::member who;
  /// `cluster.name`.
  std::string cluster;
  node_load load = {};
  /// Until it runs out. Of a lease that is renewed: not looked at.
  std::int64_t left_ms = 0;
  /// The HTTP address that clients use; may be empty.
  std::string client_url = {};

  friend bool operator==(const lease&, const lease&) = default;
};

/// Used by one thread at a time; each call may block as long as its implementation says.
class lease_source {
public:
  virtual ~lease_source() = default;

  /// Renews the node's own lease, or takes it; drops those that have run out.
  /// @returns all that are live, its own included, by incarnation. Errors: `store_failed`,
  /// `append_unknown` (it may have been renewed), `unsupported`; `overloaded`: there are
  /// `nodes_max` others; `bad_request`: its texts are none that a lease can have (`valid`).
  [[nodiscard]] virtual model::result<std::vector<lease>> renew(const lease& own) = 0;
  /// Gives a lease up; one that is not there is no error. Errors: `store_failed`, `append_unknown`,
  /// `unsupported`.
  [[nodiscard]] virtual model::status release(const std::string& incarnation) = 0;
  /// All that are live; changes nothing. Errors: as `release`.
  [[nodiscard]] virtual model::result<std::vector<lease>> list() = 0;

  /// What stood among the leases of the last answer and could not be read as one.
  [[nodiscard]] virtual std::size_t unreadable() const = 0;
};

/// Whether its texts can stand in a lease: printable ASCII without blanks, not too long; a port; a
/// valid incarnation.
[[nodiscard]] bool valid(const lease& x);

} // namespace confab::store
