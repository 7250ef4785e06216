// `confab check`: whether a log is dense and whole.
#pragma once

#include "model/error.hpp"
#include "store/redis_address.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace confab::store {

/// One line per defect of a log.
using defect_sink = std::function<void(const std::string& line)>;

struct check_summary {
  std::uint64_t conversations = 0;
  std::uint64_t entries = 0;
  std::uint64_t defects = 0;
};

/// Walks a whole log that no server has open: entries dense, ids rising, checksums, totals,
/// producer rows and cursors consistent, SQLite's own integrity check. Errors: `store_failed` when
/// it cannot be opened.
[[nodiscard]] model::result<check_summary> check(const std::filesystem::path& directory,
                                                 const defect_sink& defect);

/// Walks all logs that a Redis holds, while nobody adds to them: streams as long as they say, ids
/// rising, nothing removed by XDEL, and what `confab:log` and the producers' receipts name at its
/// place, unless it was trimmed. Writes nothing. Errors: as `redis_connection`.
[[nodiscard]] model::result<check_summary> check_redis(const redis_options& how,
                                                       const defect_sink& defect);

} // namespace confab::store
