// Every actor interface of the server, in dependency order. Read this first.
//
//   session ──command──> CONNECTION ──subscribe, append──> CONVERSATION ──append──> LOG_WRITER
//      ^                     │  ^ receipts, superseded          │  ^ committed           │
//      │ events (hub)        │  └────────────────────────────── ┘  └──────────────────── ┘
//      └─────────────────────┘     announcements go from the conversation straight to the hubs
//
// All messages stay in this process; what travels is shared, so handlers take `const T&`.
#pragma once

#include "actors/atoms.hpp"
#include "actors/link_interfaces.hpp"
#include "model/refusals.hpp"
#include "net/client.hpp"
#include "store/log_store.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace confab::actors {

/// Numbers a connection within this process.
struct connection_id {
  std::uint64_t value = 0;
  friend auto operator<=>(const connection_id&, const connection_id&) = default;
};

// LOG_READER ------------------------------------------------------------------------------------

/// What to look up for a resume: by seq, or by id.
struct locate_request {
  model::conversation_name name;
  model::lookup by = model::lookup::seq;
  model::seq at;
  model::entry_id id;
};
using located = model::result<store::log_reader::located>;
struct page_range {
  model::conversation_name name;
  model::seq from, through;
};
/// Shared: a page is not copied on its way to the client.
using page_read = model::result<std::shared_ptr<const model::page>>;
struct list_range {
  std::string prefix, after;
  std::size_t limit = 0;
};
using list_read = model::result<std::vector<store::log_reader::listed>>;
using cursor_read = model::result<std::optional<model::position>>;

/// LOG_READER: one reading session of the log, on a thread of its own; several form a pool.
using log_reader_actor = caf::typed_actor<
    // Reads a page for followers; the answer goes to `net::pages`.
    caf::reacts_to<atom::page, net::page_request>,
    // Reads a page for one client. Errors: read_failed, log_damaged.
    caf::replies_to<atom::page, page_range>::with<page_read>,
    // The log's state, and the entry at a seq or an id. Errors: read_failed, log_damaged.
    caf::replies_to<atom::locate, locate_request>::with<located>,
    // Conversations by name. Errors: read_failed.
    caf::replies_to<atom::list, list_range>::with<list_read>,
    // A client's cursor. Errors: read_failed.
    caf::replies_to<atom::cursor, store::cursor_key>::with<cursor_read>>;

// LOG_WRITER ------------------------------------------------------------------------------------

/// What a commit did to one conversation's appends of one round, in the order in which they were
/// sent.
struct commit_report {
  std::uint64_t round = 0;
  std::size_t committed = 0;
  model::log_state state;
  /// Why the next append failed; with it, the round is over: nothing else of it is tried.
  std::optional<model::error> failure;
  /// As in `store::chain_outcome`.
  std::vector<model::receipt> landed = {};
};

using opened = model::result<store::log_head>;

/// The conversation, as far as the writer knows it.
using commit_listener = caf::typed_actor<caf::reacts_to<atom::committed, commit_report>,
                                         // The log as it is now, behind all reports before this.
                                         caf::reacts_to<atom::look, opened>>;

/// The log that appends are for. Shared by all of them.
struct append_target {
  model::conversation_name name;
  model::epoch epoch;
  /// The log's, or of the log that the first append creates.
  std::string content_type;
};
/// One append on its way to the log.
struct append_request {
  std::shared_ptr<const append_target> to;
  /// Rises when an append of the conversation has failed; what was sent before is then refused.
  std::uint64_t round = 0;
  std::shared_ptr<const store::append> what;
};
using creation = std::shared_ptr<const model::creation>;
using creation_done = model::result<model::created>;
/// The deadline of a log has moved by use.
struct new_deadline {
  model::conversation_name name;
  model::epoch epoch;
  std::int64_t expires_ms = 0;
};
struct producer_request {
  model::conversation_name name;
  std::string producer;
  /// With a value: the receipt of this older number.
  std::optional<std::uint64_t> number;
};
using state_changed = model::result<model::log_state>;
/// What a step of retention removed, and whether another one has work right now.
struct retained {
  std::vector<store::trim> trims;
  bool more = false;
};
using producer_read = model::result<std::optional<store::producer_row>>;

/// LOG_WRITER: the one writing session of the log, on a thread of its own. Group commit: takes what
/// is queued, one transaction, one fsync, then every report.
using log_writer_actor = caf::typed_actor<
    // Queues an append; the conversation gets a `committed` with the others of that commit.
    caf::reacts_to<atom::append, append_request, commit_listener>,
    // The log as of behind all queued appends. Errors: read_failed, log_damaged.
    caf::replies_to<atom::open, model::conversation_name>::with<opened>,
    // The same, gathered with others, when others may have added to it.
    caf::reacts_to<atom::look, model::conversation_name, commit_listener>,
    // A stored producer, or the receipt of an older number. Errors: read_failed, log_damaged.
    caf::replies_to<atom::producer, producer_request>::with<producer_read>,
    // Closes or deletes a log, behind all queued appends. Errors: not_found, store_failed,
    // append_unknown.
    caf::replies_to<atom::close, model::conversation_name>::with<state_changed>,
    caf::replies_to<atom::remove, model::conversation_name>::with<state_changed>,
    // Creates a log, behind all queued appends. Errors: those of store::log_writer::create.
    caf::replies_to<atom::create, model::conversation_name, creation>::with<creation_done>,
    // Moves a deadline. A failure is logged: the next use moves it again.
    caf::reacts_to<atom::touch, new_deadline>,
    // Moves a cursor, forward only; gathered with others. Errors: store_failed.
    caf::replies_to<atom::cursor, store::cursor_move>::with<model::status>,
    // One small step of retention. Errors are counted in the store's health.
    caf::replies_to<atom::retain>::with<retained>,
    // To itself: commit what is queued (the number tells stale ones); look at what was asked for;
    // move the cursors.
    caf::reacts_to<atom::flush, std::uint64_t>, caf::reacts_to<atom::look>,
    caf::reacts_to<atom::cursor>,
    // Commits what is queued and closes the session; replies when done.
    caf::replies_to<atom::stop>::with<bool>>;

// CONNECTION, as conversations know it ----------------------------------------------------------

using client_actor = caf::typed_actor<
    // Receipts and refusals. An error `moved` means: ask the directory again.
    caf::reacts_to<atom::receipts, append_answers>,
    // The same client subscribed through another connection.
    caf::reacts_to<atom::superseded, model::conversation_name>>;

// CONVERSATION ----------------------------------------------------------------------------------

struct subscriber {
  connection_id id;
  net::hub* hub = nullptr;
  net::client_identity who;
  client_actor connection;
  /// It knows that it was superseded and wants its place back. Otherwise an older connection's
  /// subscribe that comes late does not supersede a newer one's.
  bool takes_back = false;
};
/// The conversation as the new subscriber finds it; the feed belongs to the subscriber's hub and
/// holds this state or a later one.
struct subscription_answer {
  model::log_state state;
  std::shared_ptr<net::hub_feed> feed;
  model::settings settings;
};
using subscribed = model::result<subscription_answer>;

struct publication {
  /// Chosen by the connection, repeated in the answer.
  std::uint64_t request = 0;
  std::shared_ptr<const model::batch> drafts;
  /// Whether it was sent before.
  bool retried = false;
  client_actor connection;
  /// The drafts are copies of what stands there in the conversation's stream.
  std::optional<model::copy_range> copies = std::nullopt;
  /// Another node takes this one for the home: it is appended here, whoever is.
  bool forwarded = false;
  /// It was sent behind this one, which was refused and did not come again.
  std::optional<model::producer_number> behind = std::nullopt;
  /// Among those that their conversation could not handle at once, as they came; 0: it could, yet.
  std::uint64_t arrival = 0;
  /// The log was looked at for it; the stored row of its producer was read.
  bool log_read = false, producer_read = false;
};

/// CONVERSATION: the single writer of one log, and its followers; on another node than its home,
/// one of these followers. One step per message: whoever subscribes gets every entry that is
/// appended after the answer's state.
using conversation_actor = follower_actor::extend<
    // Adds a subscriber (again is no error) and makes its hub follow. Errors: moved, read_failed,
    // log_damaged.
    caf::replies_to<atom::subscribe, subscriber>::with<subscribed>,
    caf::reacts_to<atom::unsubscribe, connection_id>,
    // Another node follows it by this link, and is told at once. Answers whether it does; if not,
    // the actor has moved.
    caf::replies_to<atom::follow, link_actor>::with<bool>,
    caf::reacts_to<atom::unfollow, link_actor>,
    // Its home, or the way there, may be another one now.
    caf::reacts_to<atom::placed, cluster_view_ptr>,
    // Appends a batch; the answer comes as `receipts`.
    caf::reacts_to<atom::append, publication>, caf::reacts_to<atom::committed, commit_report>,
    // Its stream in Redis may have grown. Repeats are harmless.
    caf::reacts_to<atom::wake_up>, caf::reacts_to<atom::look, opened>,
    // To itself: look, whether a wake-up came or not.
    caf::reacts_to<atom::reconcile>,
    // Errors: moved, not_found, store_failed, append_unknown.
    caf::replies_to<atom::close>::with<state_changed>,
    caf::replies_to<atom::remove>::with<state_changed>,
    // Errors: moved, and those of store::log_writer::create.
    caf::replies_to<atom::create, creation>::with<creation_done>,
    // Somebody reads it: a ttl begins anew.
    caf::reacts_to<atom::touch>,
    // To itself: its deadline may have come.
    caf::reacts_to<atom::expire>,
    // Retention removed entries.
    caf::reacts_to<atom::trimmed, model::log_state>,
    // To itself: nothing has happened for a while.
    caf::reacts_to<atom::idle>,
    // From the directory, which has forgotten it: answer what is left with `moved`.
    caf::reacts_to<atom::stop>>;

// DIRECTORY -------------------------------------------------------------------------------------

/// DIRECTORY: name → conversation of this node; spawns on first use, and only it ends one.
using directory_actor = caf::typed_actor<
    caf::replies_to<atom::lookup, model::conversation_name>::with<conversation_actor>,
    // Its stream in Redis may have grown: told on if it is active, since others read it when they
    // begin.
    caf::replies_to<atom::wake_up, model::conversation_name>::with<bool>,
    // The same, wherever its home is, by a pointer with this mark of whoever put it there: a home
    // knows what it has appended itself. Answers when whoever wants to know was told.
    caf::replies_to<atom::wake_up, model::conversation_name, std::string>::with<bool>,
    // Nodes have come or gone.
    caf::reacts_to<atom::placed, cluster_view_ptr>,
    // An idle conversation asks to be ended.
    caf::reacts_to<atom::passivate, model::conversation_name, conversation_actor>,
    // To itself: let the writer do a step of retention, and tell the conversations.
    caf::reacts_to<atom::retain>>;

// CONNECTION ------------------------------------------------------------------------------------

/// CONNECTION: one client: its subscriptions, its unanswered drafts, its limits.
using connection_actor = client_actor::extend<caf::reacts_to<atom::command, net::command>,
                                              // Answers what conversations, readers and the writer
                                              // have not, when its time has come.
                                              caf::reacts_to<atom::tick>,
                                              // The session has ended.
                                              caf::reacts_to<atom::gone>>;

} // namespace confab::actors

// Local only: none of these ever leaves the process.
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::append_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::commit_report)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::connection_id)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::creation)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::creation_done)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::cursor_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::locate_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::list_range)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::list_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::located)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::new_deadline)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::opened)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::page_range)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::page_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::producer_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::producer_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::publication)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::state_changed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::subscribed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::subscriber)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::model::conversation_name)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::model::log_state)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::model::status)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::net::command)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::net::page_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::store::cursor_key)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::store::cursor_move)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::retained)
