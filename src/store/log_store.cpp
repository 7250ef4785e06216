#include "store/log_store.hpp"

#include "store/memory_store.hpp"
#include "store/sqlite_store.hpp"

namespace confab::store {

model::result<std::unique_ptr<log_store>> open(const options& how) {
  if (how.directory == ":memory:")
    return open_memory(how);
  return open_sqlite(how);
}

} // namespace confab::store
