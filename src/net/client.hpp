// The border between sockets and actors: what a client asks for, what it is told, and who answers.
#pragma once

#include "model/creation.hpp"
#include "model/entry.hpp"
#include "model/log_state.hpp"
#include "model/name.hpp"
#include "model/resume.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace confab::net {

class hub;
class hub_feed;

/// Names a session from any thread; one that has ended takes nothing and harms nothing.
struct client_ref {
  net::hub* hub = nullptr;
  std::uint64_t id = 0;
};

/// Who is connected. `client` is chosen by the client and lasts over reconnects, or made up for one
/// connection.
struct client_identity {
  std::string user = "anonymous";
  std::string client;

  /// Made up for one connection: no other one can come back as this client.
  [[nodiscard]] bool passing() const noexcept { return client.starts_with('~'); }
};

// What a client asks for. `ref` is JSON text that the answer repeats; empty: none was given.

struct subscribe_command {
  std::string ref;
  model::conversation_name name;
  /// Without a value: `saved` for a client with an id of its own, else `now`.
  std::optional<model::resume_request> from;
  /// Do not wait for it to be created: `not_found`, or `gone`.
  bool must_exist = false;
};
struct unsubscribe_command {
  std::string ref;
  model::conversation_name name;
};
/// The session has ended this subscription by itself; not answered.
struct drop_command {
  model::conversation_name name;
  std::uint64_t subscription = 0;
};
struct publish_command {
  std::string ref;
  model::conversation_name name;
  std::shared_ptr<const model::batch> drafts;
};
/// Moves the client's cursor.
struct ack_command {
  std::string ref;
  model::conversation_name name;
  model::epoch epoch;
  model::seq at;
};
/// Creates a conversation; answered by `created_event`. Errors: `conflict`, `bad_request`, and of a
/// fork `not_found` (there is no source), `conflict` (the source is gone, or of another content
/// type).
struct create_command {
  model::conversation_name name;
  std::shared_ptr<const model::creation> what;
};
struct page_command {
  model::conversation_name name;
  model::resume_request from;
  std::size_t limit;
};
struct info_command {
  model::conversation_name name;
};
struct close_command {
  model::conversation_name name;
};
struct delete_command {
  model::conversation_name name;
};

/// Conversations by name, those behind `after` whose names begin with `prefix`.
struct list_command {
  std::string prefix;
  std::string after;
  std::size_t limit;
};
/// A cursor of this user, of whichever client.
struct cursor_command {
  model::conversation_name name;
  std::string client;
};
/// Moves it forward, or removes it without a position.
struct cursor_move_command {
  model::conversation_name name;
  std::string client;
  std::optional<model::position> to;
};

using command = std::variant<subscribe_command, unsubscribe_command, drop_command, publish_command,
                             ack_command, create_command, page_command, info_command, close_command,
                             delete_command, list_command, cursor_command, cursor_move_command>;

// What a client is told.

struct subscribed_event {
  std::string ref;
  model::conversation_name name;
  std::shared_ptr<hub_feed> feed;
  /// As the conversation answered.
  model::log_state state;
  model::start from;
  /// Tells this subscription from earlier ones of the same name.
  std::uint64_t subscription = 0;
  model::settings settings = {};
};
struct unsubscribed_event {
  std::string ref;
  model::conversation_name name;
  bool superseded = false;
};
struct published_event {
  std::string ref;
  model::conversation_name name;
  model::receipt got;
  /// Bytes of the batch that this answers, which counted against the session's bound.
  std::size_t bytes = 0;
  /// The log as it was by then, never before the receipt: its epoch, and whether it is closed.
  model::log_state state = {};
  /// The highest number of its producer that is in the log; a duplicate's may be beyond its own.
  std::uint64_t producer_last = 0;
};
struct created_event {
  model::conversation_name name;
  model::created what;
};
struct acked_event {
  std::string ref;
  model::conversation_name name;
  model::seq at;
};
struct page_event {
  std::shared_ptr<const model::page> held;
  /// Where the page starts after, and whether the asker's position was of another log.
  model::start after;
  model::settings settings = {};
};
struct info_event {
  model::conversation_name name;
  model::log_state state;
  model::settings settings;
};
struct deleted_event {};
struct list_event {
  std::vector<info_event> conversations;
  /// There may be more behind the last one.
  bool more = false;
};
struct cursor_event {
  model::conversation_name name;
  std::string client;
  std::optional<model::position> at;
};
struct failed_event {
  std::string ref;
  std::optional<model::conversation_name> name;
  model::error why;
  /// If this answers a publish: the bytes of its batch.
  std::size_t bytes = 0;
  /// The conversation is not followed any more, also by an earlier subscribe.
  bool ends_subscription = false;
  /// With `closed`: the log, whose tail will stay.
  model::log_state state = {};
};

using event =
    std::variant<subscribed_event, unsubscribed_event, published_event, created_event, acked_event,
                 page_event, info_event, deleted_event, list_event, cursor_event, failed_event>;

/// The actor of one connection, as its session sees it. Called by one thread; the destructor says
/// that the client has gone.
class client_port {
public:
  virtual ~client_port() = default;
  virtual void tell(command x) = 0;
};

/// A page of the log that followers wait for.
struct page_request {
  std::shared_ptr<const model::conversation_name> name;
  model::epoch epoch;
  model::seq from;
  /// Last seq of the aligned block, included.
  model::seq through;
  /// The tail that was known: a page of an older transaction is no answer.
  model::seq tail;
};

class pages;
class metrics;

struct readiness {
  bool ready = true;
  /// For a person, when not ready.
  std::string why;
  /// What is wrong with Redis while everything else goes on.
  std::string redis = {};
  /// What durability rests on, for a person; may be empty.
  std::string settings = {};
};

/// An I/O thread's part in running the actors. Used, and destroyed, by that thread.
class actor_turns {
public:
  virtual ~actor_turns() = default;
  /// Runs those that are due, boundedly; if some are left, it asks for another turn.
  virtual void run() = 0;
};

/// The actors, as sockets see them. Any thread.
class backend {
public:
  virtual ~backend() = default;
  /// The calling thread runs actors from now on. @param wake asks it for a turn; called from any
  /// thread.
  [[nodiscard]] virtual std::unique_ptr<actor_turns> join(std::function<void()> wake) = 0;
  /// Starts the actor of a connection.
  [[nodiscard]] virtual std::unique_ptr<client_port> connect(client_ref session,
                                                             client_identity who) = 0;
  /// Reads a page and gives it to `pages::arrived`, from any thread.
  virtual void read(page_request x) = 0;
  [[nodiscard]] virtual readiness ready() const = 0;
  /// Adds what is counted behind the sockets.
  virtual void measure(metrics&) const {}
};

} // namespace confab::net
