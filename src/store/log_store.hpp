// The interface of durability: one writing session, any number of reading ones, on one store.
#pragma once

#include "model/copying.hpp"
#include "model/creation.hpp"
#include "model/entry.hpp"
#include "model/log_state.hpp"
#include "model/name.hpp"
#include "model/retention.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace confab::store {

class stream_ledger;

/// Where a fork left its source: it shows the source's entries through `at`; then, if `cut_bytes`
/// is not 0, comes a copy of so many bytes of the next one, and then its own.
struct fork_origin {
  std::string source;
  model::seq at;
  std::uint64_t cut_bytes = 0;

  friend bool operator==(const fork_origin&, const fork_origin&) = default;
};

/// What the log knows of one conversation when its actor starts.
struct log_head {
  model::log_state state = {};
  model::settings settings = {};
  /// The last `Stream-Seq` that was taken.
  std::string stream_seq = {};
  std::optional<fork_origin> fork = std::nullopt;
  /// Of a fork: whose positions are its own.
  std::vector<model::ancestor> ancestors = {};
  /// Deleted or expired, and kept for its forks: nobody reads it, and its name is not free. The
  /// state is that of a log which does not exist.
  bool gone = false;
  /// What was published through this seq is in the conversation's stream, too (DESIGN §8, role
  /// bridge).
  model::seq mirrored = {};

  friend bool operator==(const log_head&, const log_head&) = default;
};

/// One batch with its places assigned: consecutive entries that share a producer number.
struct append {
  /// Empty only if it closes.
  std::vector<model::entry> entries;
  /// Empty: nothing to remember about a producer (as with internal `~…` ones, whose rows are not
  /// kept).
  std::string producer;
  std::uint32_t producer_epoch = 0;
  std::uint64_t producer_seq = 0;
  /// For `=key` producers, see `model::batch`.
  std::uint64_t fingerprint = 0;
  /// If not empty: must be beyond the log's.
  std::string stream_seq = {};
  bool closes = false;
  /// A new deadline of the log.
  std::optional<std::int64_t> expires_ms = std::nullopt;
  /// The entries are copies from the conversation's stream.
  std::optional<model::copy_range> copies = std::nullopt;
};

/// Everything queued for one conversation, in seq order. Shared between the conversation (which
/// waits) and the writer (which only reads it).
struct chain {
  model::conversation_name name;
  /// The epoch the conversation believes in; empty: this chain creates the log.
  model::epoch epoch;
  std::string content_type = "application/json";
  std::vector<std::shared_ptr<const append>> appends;
};

/// What became of a chain: its first `committed` appends are durable; the next one, if any, failed
/// for `failure`, and so did everything behind it (a hole cannot commit).
struct chain_outcome {
  std::size_t committed = 0;
  /// State behind the last committed append. With `store_failed`, `append_unknown` and
  /// `log_damaged` it is only what was known before, which may be what the chain itself says.
  model::log_state state;
  std::optional<model::error> failure;
  /// Where the committed appends stand, one receipt each; empty: where their entries say. In a log
  /// to which others add, too, entries of theirs may stand before them, and an append may have been
  /// there already (`duplicate`).
  std::vector<model::receipt> landed = {};
};

/// A stored producer, or idempotency key.
struct producer_row {
  std::uint32_t epoch = 0;
  std::uint64_t number = 0;
  model::receipt last;
  std::uint64_t fingerprint = 0;
};

/// What a store has to say at night. Counters rise from the store's opening.
struct health {
  /// Empty: appends work. Else why they do not, for a person.
  std::string trouble;
  std::uint64_t commits = 0;
  std::uint64_t commit_failures = 0;
  std::uint64_t fences = 0;
  /// What durability rests on outside of this process; empty: nothing.
  std::string settings;
  /// Of moving pages from the write-ahead log to the database: costs disk, not entries.
  std::uint64_t checkpoint_failures = 0;
};

struct cursor_key {
  std::string user;
  std::string client;
  model::conversation_name conversation;

  friend auto operator<=>(const cursor_key&, const cursor_key&) = default;
};

struct cursor_move {
  cursor_key key;
  model::epoch epoch;
  model::seq at;
  /// Instead of being moved, the cursor is removed, whatever its epoch.
  bool removes = false;
};

struct trim {
  model::conversation_name name;
  model::log_state state;
};

/// The one writing session. Used by one thread at a time. Every change is one transaction, durable
/// under the configured `synchronous` when the call returns.
class log_writer {
public:
  virtual ~log_writer() = default;

  /// A conversation that does not exist, or has expired, has an empty epoch. Errors: `read_failed`,
  /// `log_damaged`.
  [[nodiscard]] virtual model::result<log_head> open(const model::conversation_name& name) = 0;

  /// Commits all chains in one transaction (each conversation at most once in `chains`). When that
  /// fails it is tried once more, chain by chain and then append by append, so one bad draft fails
  /// alone. Inside the transaction: the epoch must be the log's, it must be open, and `seq = tail +
  /// 1`, else the chain is refused from there (`moved` for a wrong epoch or seq, `closed`,
  /// `content_type`, `stream_seq`, `gone`, `conflict` for copies that do not begin where the copies
  /// before them end). A chain with an empty epoch creates the log.
  /// `store_failed`: a fence makes sure that the entries can never come back. `append_unknown`:
  /// that fence failed too; every commit is refused with `store_failed` until a fence succeeds
  /// (each call tries one first). `log_damaged`: the conversation's own rows cannot be read.
  /// @param now_ms wall clock, milliseconds since 1970.
  /// @returns one outcome per chain, in order.
  [[nodiscard]] virtual std::vector<chain_outcome> commit(std::span<const chain* const> chains,
                                                          std::int64_t now_ms) = 0;

  /// The logs as they are now, in order, for those to which others may add behind this session's
  /// back. Errors: as `open`.
  [[nodiscard]] virtual std::vector<model::result<log_head>>
  look(std::span<const model::conversation_name> names, std::int64_t now_ms);

  /// The stored row of a producer (or `=key`), unless older than `producer_ttl`.
  /// Errors: `read_failed`, `log_damaged`.
  [[nodiscard]] virtual model::result<std::optional<producer_row>>
  producer(const model::conversation_name& name, std::string_view producer,
           std::int64_t now_ms) = 0;

  /// The receipt of an older number, found by reading back from the producer's last entry, over at
  /// most 256 numbers and 65,536 entries. Errors: as `producer`.
  [[nodiscard]] virtual model::result<std::optional<model::receipt>>
  older_receipt(const model::conversation_name& name, std::string_view producer,
                std::uint64_t number) = 0;

  /// Creates a log with its first entries, or a fork, in one transaction. One that exists with the
  /// same configuration is no error (`model::created`), and nothing is appended then. Errors:
  /// `conflict` (another configuration, the name or the fork's source is gone, too many forks of
  /// forks), `content_type` (of the source), `not_found` (no source), `bad_request` (no such fork
  /// point), `store_failed`, `append_unknown`, `log_damaged`.
  [[nodiscard]] virtual model::result<model::created> create(const model::conversation_name& name,
                                                             const model::creation& what,
                                                             std::int64_t now_ms) = 0;

  /// Moves the deadline of a log of this epoch; of another one it is left alone. Errors: as
  /// `close`, but `not_found`.
  [[nodiscard]] virtual model::status touch(const model::conversation_name& name,
                                            const model::epoch& epoch, std::int64_t expires_ms) = 0;

  /// Marks the log as closed; again is no error. Errors: `not_found`, `gone`, `store_failed`,
  /// `append_unknown`.
  [[nodiscard]] virtual model::result<model::log_state>
  close(const model::conversation_name& name) = 0;

  /// Removes the log with its entries, producers, keys and cursors. Entries beyond 10,000 are
  /// removed in later small transactions (`retain`), invisible meanwhile. While forks of it live,
  /// its entries stay and its name is `gone`; the last of them takes it along. Errors: as `close`.
  [[nodiscard]] virtual model::status remove(const model::conversation_name& name) = 0;

  /// Moves cursors forward, never back (a cursor of another epoch is replaced). The id comes from
  /// the log. A move in another epoch than the log's, or beyond its tail, is ignored. Errors: as
  /// `close`, but `not_found`.
  [[nodiscard]] virtual model::status move_cursors(std::span<const cursor_move> moves,
                                                   std::int64_t now_ms) = 0;

  /// One small step of retention (at most 500 entries, and expired logs, producers, keys and
  /// cursors likewise). What it removes from a log is not in its forks any more either: their
  /// `first` rises with it.
  /// @returns what was trimmed; `more` is set when another step has work right now.
  [[nodiscard]] virtual std::vector<trim> retain(std::int64_t now_ms, bool& more) = 0;

  [[nodiscard]] virtual store::health health() const = 0;
  /// Null: this store keeps none.
  [[nodiscard]] virtual stream_ledger* ledger() noexcept { return nullptr; }
};

/// A reading session. Used by one thread at a time; many can be open beside the writer. A log that
/// has expired, or is kept only for its forks, is not there.
class log_reader {
public:
  virtual ~log_reader() = default;

  /// Up to `model::page_entries_max` entries with seq in [from, through], up to
  /// `model::page_bytes_max` weight but at least one, from one read transaction, each checked
  /// against its checksum. `full` is set when it ended at `through` or at the bytes, not at the
  /// tail. If `from` is below the log's first, the page starts at the first. Errors: `read_failed`,
  /// `log_damaged` (names conversation and seq).
  [[nodiscard]] virtual model::result<model::page> page(const model::conversation_name& name,
                                                        model::seq from, model::seq through) = 0;

  /// The log's state, and the position of the entry at `at` if the log holds it.
  struct located {
    log_head head;
    std::optional<model::position> found;
  };
  [[nodiscard]] virtual model::result<located> locate(const model::conversation_name& name,
                                                      model::seq at) = 0;
  /// The position of the entry whose `source_id` is `id`, else of the last one whose own id is not
  /// beyond it; the entry before the first still counts for that.
  [[nodiscard]] virtual model::result<located> locate_id(const model::conversation_name& name,
                                                         model::entry_id id) = 0;

  struct listed {
    model::conversation_name name;
    log_head head;
  };
  /// Up to `limit` conversations whose names begin with `prefix` and come behind `after`, by name
  /// (byte order). Errors: `read_failed`.
  [[nodiscard]] virtual model::result<std::vector<listed>>
  list(const std::string& prefix, const std::string& after, std::size_t limit) = 0;

  /// A client's cursor, unless older than `cursor_ttl`.
  [[nodiscard]] virtual model::result<std::optional<model::position>>
  cursor(const cursor_key& key, std::int64_t now_ms) = 0;
};

[[nodiscard]] std::int64_t system_wall_ms();

struct options {
  /// `:memory:` keeps the log in memory.
  std::filesystem::path directory = "data";
  enum class sync { full, normal, off } synchronous = sync::full;
  std::int64_t producer_ttl_s = 604'800;
  std::int64_t cursor_ttl_s = 2'592'000;
  std::vector<model::retention_rule> retention;
  /// SQLite VFS; empty: the default one. Tests inject a failing one.
  std::string vfs = {};
  /// Tells readers what has expired: milliseconds since 1970. Tests replace it.
  std::function<std::int64_t()> wall_ms = system_wall_ms;
};

/// A store that is open. Sessions must not outlive it.
class log_store {
public:
  virtual ~log_store() = default;

  [[nodiscard]] virtual std::unique_ptr<log_writer> writer() = 0;
  [[nodiscard]] virtual model::result<std::unique_ptr<log_reader>> reader() = 0;
  /// For the log line at start: where it is, its schema version and generation.
  [[nodiscard]] virtual std::string description() const = 0;
  /// Notes a clean stop. No session may be open. Errors: `store_failed`.
  [[nodiscard]] virtual model::status close() = 0;
};

/// Opens or creates the store. Errors: `store_failed` with a text that tells a person what to do:
/// directory not writable, directory of another process (with its pid), schema of a newer version,
/// damaged file.
[[nodiscard]] model::result<std::unique_ptr<log_store>> open(const options& how);

} // namespace confab::store
