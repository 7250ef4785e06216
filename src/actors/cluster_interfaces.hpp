// The actors of a cluster of nodes (DESIGN §8), and what they say.
//
//   confab:nodes ──leases──> MEMBERSHIP ──members──> whoever places homes and links nodes
#pragma once

#include "actors/atoms.hpp"
#include "model/placement.hpp"

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>

#include <memory>
#include <vector>

namespace confab::actors {

/// Of the messages between nodes. Nodes of another one are no members: it rises when messages
/// change so that older nodes would misread them.
inline constexpr std::uint32_t cluster_protocol = 1;

namespace atom {
using leave = caf::atom_constant<caf::atom("leave")>;
using members = caf::atom_constant<caf::atom("members")>;
} // namespace atom

// MEMBERSHIP ------------------------------------------------------------------------------------

/// The live nodes of this cluster.
struct live_members {
  /// By incarnation.
  std::vector<model::member> all;
  /// Whether this node's own lease holds; if not, it is not in `all`.
  bool own = false;

  friend bool operator==(const live_members&, const live_members&) = default;
};
using member_list = std::shared_ptr<const live_members>;

using members_listener = caf::typed_actor<
    // The members have changed; once at first, when Redis was asked for the first time.
    caf::reacts_to<atom::members, member_list>>;

/// MEMBERSHIP: this node's lease and the live nodes.
using membership_actor = caf::typed_actor<
    // To itself: renew the lease, and look who else has one.
    caf::reacts_to<atom::work>,
    // A planned end: gives the lease up for good; the listener is told that it does not hold. Goes
    // on looking after the others. False: it could not be given up, and runs out by itself.
    caf::replies_to<atom::leave>::with<bool>>;

} // namespace confab::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::member_list)
