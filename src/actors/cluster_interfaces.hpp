// The actors of a cluster of nodes (DESIGN §8), and what they say.
//
//   confab:nodes ──leases──> MEMBERSHIP ──members──> CLUSTER ──placed──> DIRECTORY ──>
//   conversations
//                                                    │  ^ linked                          ^
//                                                    v  │                                 v
//                       other nodes <~~~frames~~~> NODE_LINK, one for each <── follow, append
#pragma once

#include "actors/interfaces.hpp"

namespace confab::actors {

namespace atom {
using lease = caf::atom_constant<caf::atom("lease")>;
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

// NODE_LINK -------------------------------------------------------------------------------------

/// The other end of a link, in another process: all that is said there is bytes
/// (net/wire/link_frame.hpp).
using link_end_actor = caf::typed_actor<
    // The answer to a hello: the link is up; or it is not, if it is of another cluster.
    caf::reacts_to<atom::welcome, std::string>,
    // From the sender that was welcomed; of others it is ignored. An empty one ends the link.
    caf::reacts_to<atom::frame, std::string>>;

/// What other nodes know of this one's port.
using gate_actor = caf::typed_actor<
    // The beginning of a link, with the end that it comes from.
    caf::reacts_to<atom::hello, std::string, link_end_actor>>;

/// What a link tells of the node of this incarnation.
using link_listener = caf::typed_actor<
    // Whether there is a link to it.
    caf::reacts_to<atom::linked, std::string, bool>,
    // Whether it holds its lease, as it says itself.
    caf::reacts_to<atom::lease, std::string, bool>>;

/// NODE_LINK: this node's end of the link to one other node.
using node_link_actor = link_actor::extend_with<client_actor>::extend_with<link_end_actor>::extend<
    // Say hello to the other node.
    caf::reacts_to<atom::open, gate_actor>,
    // The other node has said it: welcome it.
    caf::reacts_to<atom::hello, link_end_actor>,
    // Whether this node holds its lease: the other one is told.
    caf::reacts_to<atom::lease, bool>,
    // To itself: send what is due; is the other end silent?
    caf::reacts_to<atom::flush>, caf::reacts_to<atom::tick>>;

// CLUSTER ---------------------------------------------------------------------------------------

/// CLUSTER: keeps links to the other members, and tells the directory who is home of what.
using cluster_actor = gate_actor::extend_with<members_listener>::extend_with<link_listener>::extend<
    // To itself: connect to those that are not linked.
    caf::reacts_to<atom::tick>>;

} // namespace confab::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::member_list)
