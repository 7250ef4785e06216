// One client's actor: its subscriptions, and its drafts until they are answered (DESIGN §5).
//
// Invariants:
// (1) Every command gets one answer; a draft gets it by `publish_deadline_ms`, if need be
//     `append_unknown`.
// (2) A draft is sent again only with the same producer and number, so that it is appended once.
// (3) Drafts reach their conversation in order, whoever it is by then, and say what of their
//     producer was refused before them: none is taken for a beginning that is not.
// (4) What a conversation answers after a later subscribe, or an unsubscribe, of the same name is
//     not shown.
#pragma once

#include "actors/environment.hpp"
#include "model/draft_order.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <functional>
#include <list>
#include <map>
#include <unordered_map>

namespace confab::actors {

struct connection_state {
  using self_pointer = connection_actor::stateful_pointer<connection_state>;

  explicit connection_state(self_pointer parent) : self{parent} {}

  void handle(const net::subscribe_command& x);
  void handle(const net::unsubscribe_command& x);
  void handle(const net::drop_command& x);
  void handle(const net::publish_command& x);
  void handle(const net::ack_command& x);
  void handle(const net::create_command& x) { create(x, 0); }
  void handle(const net::page_command& x);
  void handle(const net::info_command& x);
  void handle(const net::list_command& x);
  void handle(const net::cursor_command& x);
  void handle(const net::cursor_move_command& x);
  void handle(const net::close_command& x) { change(x.name, false, 0); }
  void handle(const net::delete_command& x) { change(x.name, true, 0); }

  void receipts(const append_answers& x);
  void superseded(const model::conversation_name& x);
  void tick();
  void gone();

  // Conversations, by way of the directory.

  using task = std::function<void(const conversation_actor&)>;
  struct known_conversation {
    conversation_actor actor;
    std::vector<task> waiting;
    /// The number of the subscribe that counts; 0: none.
    std::uint64_t subscription = 0;
    /// Where the last subscribe was sent: it must hear of the end, whatever `actor` is by then.
    conversation_actor followed;
    /// The client was told that another connection took its place.
    bool superseded = false;
    /// Makes internal numbers unique, also after this record was forgotten and made anew.
    std::uint64_t producer = 0;
    std::uint64_t drafts = 0;
    std::size_t unanswered = 0;
    model::draft_order<conversation_actor> order;
  };
  /// Runs `x` with the conversation's handle, now or when the directory has answered; tasks of one
  /// name keep their order.
  void with(const model::conversation_name& of_name, task x);
  /// The handle is of an actor that has moved.
  void forget(const model::conversation_name& of_name);

  // Subscribing: ask the conversation, find out where to start, tell the session.

  struct attempt {
    net::subscribe_command what;
    std::uint64_t number;
    int tries = 0;
  };
  void subscribe(const attempt& x);
  void subscribed_to(attempt x, const subscribed& got);
  void subscribe_to_nothing(const attempt& x);
  void start_at_cursor(const attempt& x, const subscription_answer& got);
  void start_at(const attempt& x, const subscription_answer& got,
                const model::resume_request& from);
  void attach(const attempt& x, const subscription_answer& got, model::start from);
  void subscribe_failed(const attempt& x, const model::error& why);
  /// The subscription does not count any more; its conversation hears so. @pre there is one
  void end_subscription(known_conversation& x);
  [[nodiscard]] bool outdated(const attempt& x) const;

  // Publishing.

  struct unanswered {
    net::publish_command what;
    std::shared_ptr<const model::batch> drafts;
    caf::actor_clock::time_point deadline;
    caf::actor_clock::time_point retry_at;
    int sends = 0;
    /// It was published behind this one, which had been refused or was so since.
    std::optional<model::producer_number> behind = {};
    /// Whether a conversation has it.
    bool sent = false;
    /// The client was told that nobody knows.
    bool given_up = false;
  };
  void send_draft(std::uint64_t request);
  /// Those of a conversation whose turn it is.
  void send_due(const model::conversation_name& of_name);
  void send_due(model::draft_order<conversation_actor>& order, const conversation_actor& to);
  /// What was published behind it says so when it is sent.
  void note_refusal(const unanswered& x, const model::error& why);
  void note_receipt(const unanswered& x);
  /// A conversation has answered, for `moved` not for good; what waited for that is sent.
  void came_back(std::uint64_t request, unanswered& x, bool moved);
  /// Whether an earlier number of its producer has no outcome yet.
  [[nodiscard]] bool follows_another(const unanswered& x) const;
  void watch_deadlines();

  // One client's reading of pages.

  [[nodiscard]] const log_reader_actor& reader() const {
    return (*readers)[id.value % readers->size()];
  }
  void read_page(const net::page_command& x, const located& got);
  void change(const model::conversation_name& of_name, bool removes, int tries);
  void create(const net::create_command& x, int tries);
  /// As it was when it was closed.
  void tell_closed(const model::conversation_name& of_name, const model::log_state& state);

  void tell(net::event x);
  void fail(std::string ref, const model::conversation_name& of_name, model::error why,
            std::size_t bytes = 0);

  known_conversation& know(const model::conversation_name& of_name);

  self_pointer self;
  environment* env = nullptr;
  directory_actor directory;
  log_writer_actor writer;
  std::shared_ptr<const std::vector<log_reader_actor>> readers;
  connection_id id;
  net::client_ref session;
  net::client_identity who;

  std::unordered_map<model::conversation_name, known_conversation> known;
  std::size_t subscriptions = 0;
  std::map<std::uint64_t, unanswered> drafts;
  /// Drafts that were refused; those of conversations without any are not in it.
  std::unordered_map<model::conversation_name, model::refusals> refused;
  std::uint64_t last_number = 0;
  bool ticking = false;
  /// Some draft may wait to be sent again.
  bool retrying = false;
  /// Some draft may have been published behind a refused one.
  bool some_behind = false;
  bool ended = false;

  static inline const char* name = "connection";
};

struct connection_place {
  directory_actor directory;
  log_writer_actor writer;
  std::shared_ptr<const std::vector<log_reader_actor>> readers;
  connection_id id;
};

connection_actor::behavior_type connection(connection_state::self_pointer self,
                                           connection_place place, net::client_ref session,
                                           net::client_identity who, environment* env);

} // namespace confab::actors
