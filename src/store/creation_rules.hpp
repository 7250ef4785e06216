// What a creation comes to: the same rules for every store.
#pragma once

#include "store/log_store.hpp"

#include <optional>
#include <span>
#include <vector>

namespace confab::store {

/// Forks of forks: so many of them in a row.
inline constexpr std::size_t fork_depth_max = 32;

/// Where a fork leaves a source in this state. Errors: `not_found`, `conflict` (it is gone),
/// `bad_request`. Whether the cut fits its entry is for `cut_copy` to say.
[[nodiscard]] model::result<fork_origin> fork_origin_of(const model::fork_point& asked,
                                                        const log_head& source);

/// The settings of a log that is created now. Errors: `content_type`, `bad_request`.
/// @param source of a fork, else null.
[[nodiscard]] model::result<model::settings>
settings_of(const model::creation& asked, const log_head* source, std::int64_t now_ms);

/// Why a log that is there is not what was asked for, if so: `conflict`.
[[nodiscard]] std::optional<model::error> refuse_existing(const model::conversation_name& name,
                                                          const log_head& log,
                                                          const model::creation& asked);

/// The first bytes of an entry, as a fork's own. Errors: `bad_request` when it has fewer, or is not
/// there.
[[nodiscard]] model::result<model::entry> cut_copy(const model::entry* of, std::uint64_t bytes);

/// The first entries of a log behind (`tail`, `tail_id`).
[[nodiscard]] std::vector<model::entry> placed(std::span<const model::draft> drafts,
                                               model::seq tail, model::entry_id tail_id,
                                               std::int64_t now_ms);

} // namespace confab::store
