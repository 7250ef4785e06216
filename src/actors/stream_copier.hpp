// Copies the streams of conversations into their logs, each entry once, in stream order (DESIGN §8,
// role bridge).
//
//   unknown ──copied?──> idle ──wake, look, reconcile──> due ───read───> idle   nothing new
//                         ^                                      └─────> busy   a batch is out
//                         └──────────── committed, or resting for a while ──┘
//
// Invariants:
// (1) One batch of a conversation is out at a time, and says which place it follows: what becomes
//     of it is known before the stream is read again.
// (2) A wake-up is answered when the stream was read after it came, to its end, and everything that
//     was read is committed.
// (3) A stream is read from the last handled entry on, inclusive: when that one is not the first of
//     the page, the stream is looked at as a whole, for what is missing.
#pragma once

#include "actors/environment.hpp"
#include "actors/quiet_log.hpp"
#include "actors/redis_interfaces.hpp"
#include "store/stream_source.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include <deque>
#include <set>
#include <unordered_map>

namespace confab::actors {

struct copier_options {
  std::shared_ptr<store::stream_source> streams;
  /// Of a stream that was never looked at, take all; else what was added since `since_ms`.
  bool import_all = false;
  std::int64_t reconcile_ms = 5'000;
  /// The mark of this log's own entries.
  std::string origin;
  /// When this log was first bridged.
  std::int64_t since_ms = 0;
};

struct stream_copier_state {
  using self_pointer = stream_copier_actor::stateful_pointer<stream_copier_state>;

  explicit stream_copier_state(self_pointer parent) : self{parent} {}

  struct source {
    enum class phase : std::uint8_t { unknown, asking, idle, due, busy, resting };
    phase now = phase::unknown;
    /// Something happened while it was not idle: read once more.
    bool again = false;
    bool watched = false;
    /// Looked at as a whole, which is bounded and compares places: a plain read has failed, or it
    /// is time to.
    bool whole = false;
    /// As the ledger has it; empty: never looked at.
    std::optional<model::stream_place> stored;
    /// What was read through; beyond `stored` only entries of our own.
    model::stream_place at;
    /// How many of those were passed over.
    std::uint64_t passed = 0;
    /// The stream has turned out to be another one: it is read from its beginning, behind a `gap`.
    bool restarts = false;
    /// Of a loss: committed with the first entries that the log has not, or at the end. Until then
    /// what was read is not stored, so that whoever begins again knows of the loss.
    std::optional<model::draft> gap;
    /// After a loss: those with an id up to this one may have been copied before.
    model::entry_id doubtful;
    std::string content_type{model::json_content_type};
    /// Answered when the stream is read to its end: those that came before the read, and after it.
    std::vector<caf::typed_response_promise<bool>> covered, waiting;
    /// The batch that is out.
    std::optional<model::copy_range> range;
    bool more = false;
  };
  using sources_by_name = std::unordered_map<model::conversation_name, source>;
  /// A page of a stream on its way to the log.
  struct page {
    std::vector<model::draft> drafts;
    model::stream_place through;
    /// Ids of entries that may have been copied before, by the index of their draft.
    std::vector<std::pair<std::size_t, model::entry_id>> doubtful;
    /// Those of them that were.
    std::set<std::size_t> known;
    bool more = false;
  };

  caf::result<bool> wake(const model::conversation_name& x);
  void look(const model::conversation_name& x);
  void watch(const model::conversation_name& x, bool watched);
  void receipts(const append_answers& x);
  /// Reads some of the streams that are due.
  void work();
  void reconcile();

  // Steps of the above.

  void start();
  void make_due(const model::conversation_name& of, source& x);
  void ask_ledger(const model::conversation_name& of, source& x);
  void schedule_work(std::int64_t wait_ms);
  [[nodiscard]] bool connect();
  void put_back(const std::vector<model::conversation_name>& names, bool whole,
                const model::error& why);
  void look_again(const model::conversation_name& of, source& x);
  void learn_type(const model::conversation_name& of);
  [[nodiscard]] bool read(const model::conversation_name& of, source& x,
                          model::result<std::vector<model::stream_entry>>&& got);
  void failed(const model::conversation_name& of, source& x, const model::error& why);
  void look_at(const std::vector<model::conversation_name>& names);
  [[nodiscard]] model::entry_id look_from(const source& x) const;
  void looked(const model::conversation_name& of, source& x,
              model::result<store::stream_look>&& seen);
  /// @param gap stands in front of the entries.
  void take(const model::conversation_name& of, source& x, page&& made,
            std::vector<model::stream_entry>&& entries);
  void sift(const model::conversation_name& of, std::shared_ptr<page> made, std::size_t next);
  void publish(const model::conversation_name& of, source& x, page&& made);
  void send_out(std::uint64_t request);
  void pass(const model::conversation_name& of, source& x);
  void passed(const model::conversation_name& of, const model::status& done);
  void count(const model::batch& copied) noexcept;
  void answered(const model::conversation_name& of, const append_answer& got);
  void committed(const model::conversation_name& of, source& x);
  /// Tries again after a while, from what the log says then.
  void rest(const model::conversation_name& of, source& x, const model::error& why,
            std::chrono::milliseconds wait);
  /// Nothing of it can be copied, for now or for ever.
  void give_up(const model::conversation_name& of, source& x, std::string_view why);
  void settle(const model::conversation_name& of, source& x);
  void forget_some();
  [[nodiscard]] std::set<model::conversation_name>& bucket_of(const model::conversation_name& x);

  self_pointer self;
  environment* env = nullptr;
  copier_options how;
  std::string run_id;
  quiet_log complaints;
  directory_actor directory;
  log_writer_actor writer;
  ledger_actor ledger;
  std::shared_ptr<const std::vector<log_reader_actor>> readers;

  sources_by_name sources;
  std::deque<model::conversation_name> due;
  bool working = false;
  struct publication_out {
    model::conversation_name name;
    publication what;
  };
  std::unordered_map<std::uint64_t, publication_out> out;
  std::uint64_t last_request = 0;
  /// Those that are watched, spread over the time between two looks.
  std::vector<std::set<model::conversation_name>> buckets;
  std::uint64_t reconciled = 0;

  static inline const char* name = "stream_copier";
};

stream_copier_actor::behavior_type
stream_copier(stream_copier_state::self_pointer self, copier_options how,
              ledger_writer_actor writer,
              std::shared_ptr<const std::vector<log_reader_actor>> readers, environment* env);

} // namespace confab::actors
