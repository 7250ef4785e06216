// The log in memory: for tests, demos and what need not outlive the process.
#pragma once

#include "store/log_store.hpp"

namespace confab::store {

/// The same promises as on disk, but for a restart. Sessions share it under one mutex.
[[nodiscard]] std::unique_ptr<log_store> open_memory(const options& how);

} // namespace confab::store
