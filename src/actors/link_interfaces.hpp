// What conversations say to those of other nodes, by way of links (DESIGN §8).
//
//   follower ──follow, append──> LINK ~~~> the other node's LINK ──follow, append──> home
//            <──announce, receipts──  <~~~                       <──announce, receipts──
#pragma once

#include "actors/atoms.hpp"
#include "model/placement.hpp"
#include "net/wire/link_frame.hpp"

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace confab::actors {

/// The answer to one append request of a connection, or of a follower.
struct append_answer {
  std::uint64_t request = 0;
  model::result<model::receipt> got;
  /// The log as it was by then.
  model::log_state state = {};
  /// The highest durable number of the producer.
  std::uint64_t producer_last = 0;
};
/// All answers of one commit to one connection.
struct append_answers {
  std::vector<append_answer> answers;
};

/// Shared by all that it goes to.
using announcement = std::shared_ptr<const net::wire::announcement_record>;

/// FOLLOWER: a conversation whose home is another node, as the link to that node knows it.
using follower_actor = caf::typed_actor<
    // What the home knows: its state, which may be late, and entries, which may be missing.
    caf::reacts_to<atom::announce, announcement>,
    // What became of forwarded drafts.
    caf::reacts_to<atom::receipts, append_answers>>;

/// LINK: this node's end of the way to one other node, as conversations know it. What is sent while
/// it is down is dropped: whoever uses it learns so by the next `cluster_view`.
using link_actor = caf::typed_actor<
    // Follows a conversation whose home is there, until it is unfollowed.
    caf::reacts_to<atom::follow, model::conversation_name, follower_actor>,
    caf::reacts_to<atom::unfollow, model::conversation_name, follower_actor>,
    // Drafts for the home, in order; the answers come as `receipts`.
    caf::reacts_to<atom::append, net::wire::append_record, follower_actor>,
    // For the follower there.
    caf::reacts_to<atom::announce, announcement>,
    // The conversation's stream may have grown: its home should look.
    caf::reacts_to<atom::wake_up, model::conversation_name>>;

/// Who is home of what, as this node knows it, and which way leads there. Immutable; a new one
/// replaces it.
struct cluster_view {
  /// Over the live nodes that can be reached, and this one if its lease holds.
  model::placement homes;
  std::string own;
  /// To the live nodes that can be reached, by incarnation.
  std::map<std::string, link_actor> links;
  /// Every live node can be reached.
  bool whole = true;
  /// All live nodes, also those that cannot be reached.
  std::vector<std::string> live;

  /// Null: this node is the conversation's home.
  [[nodiscard]] link_actor way_home(const model::conversation_name& x) const {
    auto found = links.find(homes.home_of(x));
    return found == links.end() ? link_actor{} : found->second;
  }
};
using cluster_view_ptr = std::shared_ptr<const cluster_view>;

} // namespace confab::actors

// Local only.
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::announcement)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::append_answers)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::cluster_view_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::net::wire::append_record)
