// Mirrors what is published to Confab into the streams of Redis, in order, once (DESIGN §8, role
// bridge).
//
//   grew ──> page of the log ──> due ──added──> noted in the ledger, a little later
//
// Invariants:
// (1) A target adds what is beyond the place that it has of a log, and moves that place, in one
//     step: what is sent again after an outcome that nobody knew is added once.
// (2) One page of a conversation is out at a time, so its entries are added in their order.
// (3) What is not mirrored yet is in the log, and found there: after an outage by its name here,
//     after a restart by the ledger. So nothing is queued in memory but names.
#pragma once

#include "actors/environment.hpp"
#include "actors/quiet_log.hpp"
#include "actors/redis_interfaces.hpp"
#include "store/stream_target.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <deque>
#include <set>
#include <unordered_map>

namespace confab::actors {

struct mirror_options {
  std::shared_ptr<store::stream_target> streams;
  /// What was published before is not mirrored.
  std::int64_t since_ms = 0;
};

struct stream_mirror_state {
  using self_pointer = stream_mirror_actor::stateful_pointer<stream_mirror_state>;

  explicit stream_mirror_state(self_pointer parent) : self{parent} {}

  struct mirrored_log {
    enum class phase : std::uint8_t { idle, asking, waiting, reading, due, resting };
    phase now = phase::idle;
    /// Whether `at` is known for the epoch of `state`.
    bool known = false;
    model::log_state state;
    model::seq at;
    /// Through which Redis is believed to have it: behind it, through `at`, are copies.
    model::seq has;
    /// The page that is due.
    std::shared_ptr<const model::page> page;
  };

  void grew(const model::conversation_name& of, const model::log_state& state, model::seq from);
  /// Sends pages that are due.
  void work();
  void note();

  // Steps of the above.

  /// What was left behind when the process ended.
  void walk(const std::string& after);
  void walked(const list_read& got);
  void enter(mirrored_log& x, mirrored_log::phase next);
  void go_on(const model::conversation_name& of, mirrored_log& x);
  void ask(const model::conversation_name& of, mirrored_log& x);
  void opened_log(const model::conversation_name& of, const opened& got);
  /// Of a log that was never mirrored: where what is to be mirrored begins.
  void find_beginning(const model::conversation_name& of);
  void read(const model::conversation_name& of, mirrored_log& x);
  void let_go(mirrored_log& x);
  void arrived(const model::conversation_name& of, const page_read& got);
  [[nodiscard]] store::mirrored_page due_page(const model::conversation_name& of,
                                              const mirrored_log& x) const;
  void note_health(const std::vector<model::result<model::seq>>& added);
  void answered(const model::conversation_name& of, mirrored_log& x,
                const model::result<model::seq>& has);
  void moved(const model::conversation_name& of, mirrored_log& x, model::seq through);
  void rest(const model::conversation_name& of, mirrored_log& x, const model::error& why,
            std::chrono::milliseconds wait);
  void schedule_work(std::int64_t wait_ms);
  void forget_some();

  self_pointer self;
  environment* env = nullptr;
  mirror_options how;
  quiet_log complaints;
  log_writer_actor writer;
  ledger_actor ledger;
  std::shared_ptr<const std::vector<log_reader_actor>> readers;

  std::unordered_map<model::conversation_name, mirrored_log> logs;
  std::deque<model::conversation_name> due;
  /// To be read when fewer pages are held.
  std::deque<model::conversation_name> waiting;
  std::size_t pages_held = 0;
  /// How many logs are not idle.
  std::int64_t behind = 0;
  bool walk_again = false;
  bool working = false;
  /// Not noted in the ledger yet.
  std::unordered_map<model::conversation_name, store::mirror_move> moves;

  static inline const char* name = "stream_mirror";
};

stream_mirror_actor::behavior_type
stream_mirror(stream_mirror_state::self_pointer self, mirror_options how,
              ledger_writer_actor writer,
              std::shared_ptr<const std::vector<log_reader_actor>> readers, environment* env);

} // namespace confab::actors
