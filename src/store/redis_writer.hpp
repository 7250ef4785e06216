// The writing session of the log on Redis: one script call per conversation and commit.
#pragma once

#include "store/redis_plain_append.hpp"
#include "store/redis_session.hpp"

#include <random>

namespace confab::store {

/// Internal producers are remembered for so long (DESIGN §5).
inline constexpr std::int64_t internal_ttl_ms = 600'000;

/// How many numbers of a producer are remembered: the last one and 256 before it.
inline constexpr std::uint64_t producer_slots = 257;
/// The field of the producers' hash that holds the receipt of a number.
[[nodiscard]] inline std::string producer_slot(std::string_view producer, std::uint64_t number) {
  return std::string{producer} + '\n' + std::to_string(number % producer_slots);
}

/// Internal producers are told by their entries.
[[nodiscard]] inline const std::string& producer_of(const append& x) {
  return x.producer.empty() && !x.entries.empty() ? x.entries.front().producer : x.producer;
}

class redis_writer final : public log_writer {
public:
  redis_writer(const redis_log_options& how, redis_places& places);

  [[nodiscard]] model::result<log_head> open(const model::conversation_name& name) override;
  [[nodiscard]] std::vector<model::result<log_head>>
  look(std::span<const model::conversation_name> names, std::int64_t now_ms) override;
  [[nodiscard]] std::vector<chain_outcome> commit(std::span<const chain* const> chains,
                                                  std::int64_t now_ms) override;
  [[nodiscard]] model::result<std::optional<producer_row>>
  producer(const model::conversation_name& name, std::string_view producer,
           std::int64_t now_ms) override;
  [[nodiscard]] model::result<std::optional<model::receipt>>
  older_receipt(const model::conversation_name& name, std::string_view producer,
                std::uint64_t number) override;
  [[nodiscard]] model::result<model::created> create(const model::conversation_name& name,
                                                     const model::creation& what,
                                                     std::int64_t now_ms) override;
  [[nodiscard]] model::status touch(const model::conversation_name& name, const model::epoch& epoch,
                                    std::int64_t expires_ms) override;
  [[nodiscard]] model::result<model::log_state>
  close(const model::conversation_name& name) override;
  [[nodiscard]] model::status remove(const model::conversation_name& name) override;
  [[nodiscard]] model::status move_cursors(std::span<const cursor_move> moves,
                                           std::int64_t now_ms) override;
  [[nodiscard]] std::vector<trim> retain(std::int64_t now_ms, bool& more) override;
  [[nodiscard]] store::health health() const override { return health_; }

private:
  [[nodiscard]] model::result<log_head> open_at(const model::conversation_name& name,
                                                std::int64_t now_ms);
  /// A chain on its way, and how far it is.
  struct work {
    const chain* of;
    chain_outcome outcome;
    redis_sight sight;
    /// Of a log that begins with it.
    std::optional<std::uint32_t> ttl_s;
    bool done = false;
    bool looked_again = false;
    /// Others have changed the log since it was seen, or it has something that is not plain.
    bool unusual = false;
  };
  /// Where the chains' logs are, asking Redis for those that were not seen lately.
  [[nodiscard]] std::vector<work> begin(std::span<const chain* const> chains, std::int64_t now_ms);
  /// Calls the scripts for all that is not done, within their bounds, until all is.
  void run(std::vector<work>& all, std::int64_t now_ms);
  /// A call, and what it is for.
  struct due_call {
    work* of;
    /// Behind the last append of it.
    std::size_t end;
    redis_call what;
  };
  void call(const redis_script& script, std::vector<due_call>& calls, std::int64_t now_ms);
  /// Behind the last append of the next call.
  [[nodiscard]] static std::size_t next_end(const work& x);
  [[nodiscard]] redis_call call_for(const work& x, std::size_t end, std::int64_t now_ms) const;
  void settle_plain(work& x, std::size_t end, const redis_reply& reply, std::int64_t now_ms);
  void settle(work& x, const redis_reply& reply, std::int64_t now_ms);
  void fail(work& x, model::error why);
  /// Keeps what `health` says: null when something could be written.
  void note(const model::error* trouble);
  /// Of a fork that shows shared entries: the last one from before `oldest_ms` (0: none). Of other
  /// logs Redis knows.
  [[nodiscard]] model::result<model::seq> last_too_old(const model::conversation_name& name,
                                                       std::int64_t oldest_ms, std::int64_t now_ms);
  /// Asks Redis how it keeps what it is given.
  [[nodiscard]] model::status ask_settings();
  [[nodiscard]] model::result<model::created>
  fork(const model::conversation_name& name, const model::creation& what, std::int64_t now_ms);
  /// Nothing: the log `seen` does not hold it (any more), or is another one by now.
  [[nodiscard]] model::result<std::optional<model::entry>>
  entry_at(const model::conversation_name& name, const log_head& seen, model::seq at,
           std::int64_t now_ms);
  /// Around the place where a fork leaves its source.
  struct fork_edge {
    /// Of the last entry that both show; never below its own.
    model::entry_id last_id;
    /// The one behind it, if the fork cuts it.
    std::optional<model::entry> next;
  };
  /// Nothing: the source changed meanwhile.
  [[nodiscard]] model::result<std::optional<fork_edge>>
  edge_of(const log_head& seen, const fork_origin& origin, std::int64_t now_ms);
  /// @param own its first entries.
  [[nodiscard]] redis_call fork_call(const model::conversation_name& name, const log_head& source,
                                     const fork_origin& origin, model::entry_id last_id,
                                     const model::settings& settings,
                                     std::span<const model::entry> own, bool closed,
                                     std::int64_t now_ms) const;
  [[nodiscard]] model::result<redis_reply> change(const model::conversation_name& name,
                                                  std::vector<std::string> what);
  [[nodiscard]] model::result<std::optional<model::receipt>>
  slot_receipt(const model::conversation_name& name, std::string_view producer,
               std::uint64_t number, std::optional<std::uint64_t> epoch);

  redis_session session_;
  std::minstd_rand random_{std::random_device{}()};
  producers_upkeeps upkeeps_;
  store::health health_;
};

} // namespace confab::store
