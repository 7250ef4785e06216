// The writing session of the log as an actor: group commit (DESIGN §5, §7).
#pragma once

#include "actors/environment.hpp"
#include "actors/redis_interfaces.hpp"
#include "model/commit_pacing.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include <unordered_map>

namespace confab::actors {

struct log_writer_state {
  using self_pointer = ledger_writer_actor::stateful_pointer<log_writer_state>;

  // Declared in every state: CAF 0.17 half-initialises aggregates in C++20.
  explicit log_writer_state(self_pointer parent) : self{parent} {}

  void append(const append_request& x, const commit_listener& from);
  void flush_after(std::int64_t wait_us);
  void flush(std::uint64_t number);
  /// Everything queued, in one transaction; then every report.
  void commit();
  caf::result<model::status> move_cursor(const store::cursor_move& x);
  void move_cursors();
  void look(const model::conversation_name& name, const commit_listener& from);
  void look_all();
  opened open(const model::conversation_name& name);
  producer_read producer(const producer_request& x);
  /// Everything queued is committed; null: the log keeps no ledger.
  store::stream_ledger* ledger();

  struct queued {
    append_request what;
    commit_listener from;
  };

  self_pointer self;
  std::shared_ptr<store::log_writer> session;
  environment* env = nullptr;
  model::commit_pacing pacing{0};

  std::vector<queued> queue;
  /// Of the `flush` that counts; older ones are stale.
  std::uint64_t flush_number = 0;
  bool flush_pending = false;
  bool waiting = false;
  /// The round of a conversation that has failed: what is still queued of it is refused, so that
  /// nothing can slip behind a hole.
  std::unordered_map<model::conversation_name, std::uint64_t> failed_rounds;

  /// To be looked at with the next round.
  std::vector<model::conversation_name> looks;
  std::vector<commit_listener> lookers;

  struct cursor_wait {
    store::cursor_move move;
    caf::typed_response_promise<model::status> answer;
  };
  std::vector<cursor_wait> cursors;

  static inline const char* name = "log_writer";
};

ledger_writer_actor::behavior_type log_writer(log_writer_state::self_pointer self,
                                              std::shared_ptr<store::log_writer> session,
                                              environment* env);

} // namespace confab::actors
