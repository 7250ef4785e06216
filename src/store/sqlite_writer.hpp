// The writing session of the SQLite log.
#pragma once

#include "store/head_cache.hpp"
#include "store/log_store.hpp"
#include "store/sqlite_append.hpp"
#include "store/sqlite_fence.hpp"
#include "store/sqlite_rows.hpp"
#include "store/sqlite_sweep.hpp"
#include "store/stream_ledger.hpp"

#include <functional>
#include <optional>
#include <vector>

namespace confab::store {

class sqlite_writer final : public log_writer, public stream_ledger {
public:
  /// All of them must outlive the session. Throws `failure`.
  sqlite_writer(database& db, commit_fence& fence, const options& how, std::int64_t generation);

  model::result<log_head> open(const model::conversation_name& name) override;
  std::vector<chain_outcome> commit(std::span<const chain* const> chains,
                                    std::int64_t now_ms) override;
  model::result<std::optional<producer_row>> producer(const model::conversation_name& name,
                                                      std::string_view producer,
                                                      std::int64_t now_ms) override;
  model::result<std::optional<model::receipt>> older_receipt(const model::conversation_name& name,
                                                             std::string_view producer,
                                                             std::uint64_t number) override;
  model::result<model::created> create(const model::conversation_name& name,
                                       const model::creation& what, std::int64_t now_ms) override;
  model::status touch(const model::conversation_name& name, const model::epoch& epoch,
                      std::int64_t expires_ms) override;
  model::result<model::log_state> close(const model::conversation_name& name) override;
  model::status remove(const model::conversation_name& name) override;
  model::status move_cursors(std::span<const cursor_move> moves, std::int64_t now_ms) override;
  model::result<std::optional<model::stream_place>>
  copied(const model::conversation_name& name) override;
  model::status pass(const model::conversation_name& name, const model::copy_range& what) override;
  model::status mirrored(std::span<const mirror_move> moves) override;
  model::result<std::int64_t> remember(std::string_view key, std::int64_t value) override;
  std::vector<trim> retain(std::int64_t now_ms, bool& more) override;
  store::health health() const override { return fence_.health(); }
  stream_ledger* ledger() noexcept override { return this; }

private:
  /// A chain on its way through a transaction.
  struct work {
    explicit work(const chain& x) : from{&x} {}

    const chain* from;
    /// The log as it is on disk, and as it will be.
    std::optional<conversation_head> before;
    std::optional<conversation_head> after;
    std::size_t staged = 0;
    bool created = false;
    std::optional<model::error> why;
    /// It failed by itself, not by a rule.
    bool failed = false;
    /// Its statements broke the whole transaction: leave it out of the next try.
    bool left_out = false;
  };
  enum class mode {
    together,   ///< No savepoints: the fast path.
    one_by_one, ///< A savepoint around each append, so that one which fails takes nothing with it.
  };

  void attempt(std::vector<work>& works, mode how, std::int64_t now_ms);
  void stage(work& x, mode how, std::int64_t now_ms);
  void stage_append(work& x, const append& next, std::int64_t now_ms);
  bool stage_alone(work& x, const append& next, std::int64_t now_ms);
  void fail(work& x, const failure& why);
  void finish(std::vector<work>& works);
  std::vector<chain_outcome> refuse_all(std::span<const chain* const> chains,
                                        const model::error& why);

  std::optional<conversation_head> head_of(const std::string& name);
  /// Empty as well for a log that has expired, or is kept for its forks; then `gone` is set.
  std::optional<conversation_head> living(const std::string& name, std::int64_t now_ms,
                                          bool* gone = nullptr);
  /// Inside a transaction: as `head_of`, but what has expired is removed first.
  std::optional<conversation_head> head_without_expired(const std::string& name,
                                                        std::int64_t now_ms);
  void forget_removed();
  /// Inside a transaction, for a name that is free. Errors: those of `create` by a rule.
  model::result<conversation_head> create_log(const model::conversation_name& name,
                                              const model::creation& what, std::int64_t now_ms);
  /// Runs `change` in one transaction; false from it means there was nothing to do.
  model::status durably(const std::function<bool()>& change);
  model::entry_id id_at(const std::string& name, const conversation_head& log, model::seq at);

  database& db_;
  commit_fence& fence_;
  const options& how_;
  row_reader rows_;
  append_statements write_;
  sweeper sweeper_;
  head_cache heads_;
  std::string generation_suffix_;
  /// The chain whose statements run; null while the transaction begins or commits.
  work* running_ = nullptr;
  commit_fence::phase phase_ = commit_fence::phase::beginning;

  statement producer_;
  statement key_;
  statement back_;
  statement close_;
  statement touch_;
  statement mirror_;
  statement move_cursor_;
  statement remove_cursor_;
  statement savepoint_;
  statement release_;
  statement undo_;
};

} // namespace confab::store
