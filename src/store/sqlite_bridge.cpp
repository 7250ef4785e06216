// The writing session: what it knows of the streams of Redis, copied from and mirrored to.
#include "store/commit_rules.hpp"
#include "store/sqlite_schema.hpp"
#include "store/sqlite_writer.hpp"

namespace confab::store {

model::result<std::optional<model::stream_place>>
sqlite_writer::copied(const model::conversation_name& name) try {
  return write_.copied(name.text());
} catch (const failure& why) {
  return why.as_read_error();
}

model::status sqlite_writer::pass(const model::conversation_name& name,
                                  const model::copy_range& what) {
  std::optional<model::error> refused;
  auto done = durably([&] {
    refused = refuse_copies(write_.copied(name.text()), name, what);
    if (!refused)
      write_.copied(name.text(), what.through);
    return !refused;
  });
  if (done && refused)
    return *refused;
  return done;
}

model::status sqlite_writer::mirrored(std::span<const mirror_move> moves) {
  return durably([&] {
    bool changed = false;
    for (const auto& x : moves) {
      auto log = head_of(x.name.text());
      if (!log || log->gone || log->epoch != x.epoch.text || x.through <= log->mirrored ||
          x.through > log->tail)
        continue;
      log->mirrored = x.through;
      query{mirror_, log->row, x.through.value}.run();
      heads_.put(x.name.text(), *log);
      changed = true;
    }
    return changed;
  });
}

model::result<std::int64_t> sqlite_writer::remember(std::string_view key, std::int64_t value) try {
  auto name = "kept." + std::string{key};
  if (auto known = stored_number(db_, name))
    return *known;
  auto done = durably([&] {
    store_number(db_, name, value);
    return true;
  });
  if (!done)
    return done.why();
  return value;
} catch (const failure& why) {
  return why.as_read_error();
}

} // namespace confab::store
