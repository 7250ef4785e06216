// Which chains and appends a log takes: the same rules for every store.
#pragma once

#include "store/log_store.hpp"

#include <optional>

namespace confab::store {

/// Why a log in this state (empty epoch: none) takes nothing of a chain, if so: `gone`, `moved`,
/// `closed`, `content_type`.
[[nodiscard]] std::optional<model::error> refuse_chain(const log_head& log, const chain& offered);

/// Why a log in this state cannot take an append as its next, if so: `moved` when its first seq is
/// not tail + 1; `closed`; `stream_seq`; `store_failed` for what no caller should send: neither
/// entries nor an end, a hole, ids that do not rise.
[[nodiscard]] std::optional<model::error>
refuse_append(const log_head& log, const model::conversation_name& name, const append& offered);

/// Why copies cannot follow those that end at `copied` (empty: none were made), if so: `conflict`
/// when they begin elsewhere.
[[nodiscard]] std::optional<model::error>
refuse_copies(const std::optional<model::stream_place>& copied,
              const model::conversation_name& name, const model::copy_range& offered);

[[nodiscard]] model::error not_found(const model::conversation_name& name);
/// The name belongs to a log that is kept for its forks: `gone`; to whoever would create one,
/// `conflict`.
[[nodiscard]] model::error gone(const model::conversation_name& name);
[[nodiscard]] model::error name_taken(const model::conversation_name& name);

/// Whose positions are those of a fork that leaves `source` at `at`, the oldest first.
[[nodiscard]] std::vector<model::ancestor> ancestors_of(const log_head& source, model::seq at);

/// What a caller believes that the log is, for outcomes when nobody could look.
[[nodiscard]] model::log_state believed(const chain& offered);

/// Random part of a new epoch: 10 characters of `a-z 0-9`.
[[nodiscard]] std::string random_epoch();

/// Whether something of `time_ms` has outlived `ttl_s`.
[[nodiscard]] bool outlived(std::int64_t time_ms, std::int64_t ttl_s, std::int64_t now_ms) noexcept;

/// Reading backwards: makes an entry that bears the number looked for the first of a receipt. False
/// when it does not belong to the batch behind it: an earlier epoch of the producer used the number
/// too.
[[nodiscard]] bool extend_receipt(std::optional<model::receipt>& found, model::seq at,
                                  model::entry_id id);

/// How far `older_receipt` reads back.
inline constexpr std::uint64_t numbers_back_max = 256;
inline constexpr std::uint64_t entries_back_max = 65'536;

/// What one step of retention removes or looks at, at most.
inline constexpr std::uint64_t step_entries_max = 500;
inline constexpr int step_conversations_max = 64;

} // namespace confab::store
