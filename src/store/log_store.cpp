#include "store/log_store.hpp"

#include "store/memory_store.hpp"
#include "store/sqlite_store.hpp"

#include <chrono>

namespace confab::store {

std::int64_t system_wall_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

model::result<std::unique_ptr<log_store>> open(const options& how) {
  if (how.directory == ":memory:")
    return open_memory(how);
  return open_sqlite(how);
}

} // namespace confab::store
