// The actors between the streams of Redis and the conversations (DESIGN §8), and what they say.
//
//   stream:fanout:… ──pointers──> REDIS_BRIDGE ──wake──> STREAM_COPIER ──append──> CONVERSATION
//                         ^                                ^      │                     │
//                         └── XACK, once it was copied ────┼──────┘                grew │
//   stream:conversation:{name} ──XRANGE────────────────────┘                            v
//   stream:conversation:{name} <───────────────────────────────────────────────── STREAM_MIRROR
//
// In role log pointers wake conversations, and only channels are left to serve:
//
//   channels ──> PUBSUB_LISTENER ──append──> CONVERSATION ──look──> STREAM_SPEAKER ──> channels
#pragma once

#include "actors/interfaces.hpp"
#include "model/run.hpp"
#include "store/stream_ledger.hpp"

namespace confab::actors {

namespace atom {
using copied = caf::atom_constant<caf::atom("copied")>;
using grew = caf::atom_constant<caf::atom("grew")>;
using mirrored = caf::atom_constant<caf::atom("mirrored")>;
using publish = caf::atom_constant<caf::atom("publish")>;
using pass = caf::atom_constant<caf::atom("pass")>;
using wake = caf::atom_constant<caf::atom("wake")>;
using watch = caf::atom_constant<caf::atom("watch")>;
} // namespace atom

// LEDGER ----------------------------------------------------------------------------------------

using copied_read = model::result<std::optional<model::stream_place>>;
using mirror_moves = std::vector<store::mirror_move>;

/// LEDGER: the part of LOG_WRITER that knows how far streams were copied and mirrored. Behind all
/// queued appends. Errors: those of `store::stream_ledger`; `unsupported` where the log keeps none.
using ledger_actor = caf::typed_actor<
    caf::replies_to<atom::copied, model::conversation_name>::with<copied_read>,
    caf::replies_to<atom::pass, model::conversation_name, model::copy_range>::with<model::status>,
    caf::replies_to<atom::mirrored, mirror_moves>::with<model::status>>;

using ledger_writer_actor = log_writer_actor::extend_with<ledger_actor>;

// STREAM_COPIER ---------------------------------------------------------------------------------

/// STREAM_COPIER: reads the streams of conversations behind what was copied, and publishes copies
/// to them, in stream order, each once. To the conversation it is one more publisher.
using stream_copier_actor = client_actor::extend<
    // Before all else: where conversations are found.
    caf::reacts_to<atom::open, directory_actor>,
    // The stream may have grown. Answered when all that it held by then is in the log, or cannot
    // be: then that was logged and counted.
    caf::replies_to<atom::wake, model::conversation_name>::with<bool>,
    // The same, from a conversation that begins, which awaits no answer.
    caf::reacts_to<atom::look, model::conversation_name>,
    // The conversation has subscribers from now on, or none any more: whether to look after its
    // stream every `redis.reconcile_ms`.
    caf::reacts_to<atom::watch, model::conversation_name, bool>,
    // To itself: read the streams that are due; look after some of those that are watched.
    caf::reacts_to<atom::work>, caf::reacts_to<atom::reconcile>>;

// STREAM_MIRROR ---------------------------------------------------------------------------------

/// STREAM_MIRROR: adds what was published to Confab to the conversation's stream and to the fan-out
/// stream, in order, once.
using stream_mirror_actor = caf::typed_actor<
    // Entries that are no copies were appended; the state is the one behind them. All between the
    // one before and this seq are copies (0: not known).
    caf::reacts_to<atom::grew, model::conversation_name, model::log_state, model::seq>,
    // To itself: try one again; send what is due; note how far the mirrors are.
    caf::reacts_to<atom::look, model::conversation_name>, caf::reacts_to<atom::work>,
    caf::reacts_to<atom::mirrored>>;

// PUB/SUB ---------------------------------------------------------------------------------------

/// PUBSUB_LISTENER: appends what others PUBLISH; to the conversation it is one more publisher. Of
/// several nodes that hear the same message, one appends it.
using pubsub_listener_actor = client_actor::extend<
    // Before all else: where conversations are found.
    caf::reacts_to<atom::open, directory_actor>,
    // Nodes have come or gone.
    caf::reacts_to<atom::placed, cluster_view_ptr>,
    // A planned end: answered when the other nodes append what is published from now on, and what
    // this one took has its receipt.
    caf::replies_to<atom::leave>::with<bool>,
    // To itself: publish one again whose append has failed; hear what is new.
    caf::reacts_to<atom::append, std::uint64_t>, caf::reacts_to<atom::work>>;

using spoken_runs = std::vector<model::run_ptr>;

/// PUBSUB_SPEAKER: PUBLISHes entries of this node's log.
using pubsub_speaker_actor = caf::typed_actor<
    // These were appended; their bytes were taken from `environment::spoken`.
    caf::reacts_to<atom::publish, model::conversation_name, spoken_runs>>;

/// STREAM_SPEAKER: PUBLISHes what stands in streams, where these are the log: each entry once,
/// whichever node is told of it first.
using stream_speaker_actor = caf::typed_actor<
    // The stream may have grown. Answered when what it held by then was published, or could not be:
    // then that was logged.
    caf::replies_to<atom::wake, model::conversation_name>::with<bool>,
    // The same, from a conversation, which awaits no answer.
    caf::reacts_to<atom::look, model::conversation_name>,
    // To itself: publish what is due.
    caf::reacts_to<atom::work>>;

/// Whom conversations and their directory tell; null where nobody wants to know.
struct stream_actors {
  stream_copier_actor copier;
  stream_mirror_actor mirror;
  pubsub_listener_actor listener;
  /// One of them at most: which one depends on where the log is.
  pubsub_speaker_actor speaker;
  stream_speaker_actor stream_speaker;
};

// REDIS_BRIDGE ----------------------------------------------------------------------------------

/// REDIS_BRIDGE: this node's consumer in the group of the fan-out stream: pointers become wake-ups,
/// and are acknowledged behind them.
using redis_bridge_actor = caf::typed_actor<
    // To itself: read on; claim, trim and tidy when it is time.
    caf::reacts_to<atom::work>>;

} // namespace confab::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::copied_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::mirror_moves)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::spoken_runs)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::model::copy_range)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::model::seq)
