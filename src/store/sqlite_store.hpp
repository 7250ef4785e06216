// The SQLite log as a whole: its directory, lock, generation and connections.
#pragma once

#include "store/log_store.hpp"

#include <string>

namespace confab::store {

/// What only tests change.
struct sqlite_probes {
  /// Empty: the machine's.
  std::string boot_id;
  /// False shows what a failed commit does without a fence.
  bool fence = true;
  /// Bytes of the largest row; 0: SQLite's limit.
  int length_max = 0;
};

/// Errors: as `open`.
[[nodiscard]] model::result<std::unique_ptr<log_store>>
open_sqlite(const options& how, const sqlite_probes& probes = {});

} // namespace confab::store
