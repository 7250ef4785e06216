#include "store/log_store.hpp"

#include "store/memory_store.hpp"
#include "store/sqlite_store.hpp"

#include <chrono>

namespace confab::store {

std::int64_t system_wall_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

std::vector<model::result<log_head>>
log_writer::look(std::span<const model::conversation_name> names, std::int64_t) {
  std::vector<model::result<log_head>> heads;
  for (const auto& x : names)
    heads.push_back(open(x));
  return heads;
}

model::result<std::unique_ptr<log_store>> open(const options& how) {
  if (how.directory == ":memory:")
    return open_memory(how);
  return open_sqlite(how);
}

} // namespace confab::store
