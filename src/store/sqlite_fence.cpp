#include "store/sqlite_fence.hpp"

namespace confab::store {

commit_fence::commit_fence(database& db, bool enabled)
  : db_{db}, enabled_{enabled},
    bump_{db, "writing a fence",
          "INSERT INTO store VALUES('fence', 1) ON CONFLICT(key) DO UPDATE SET value = value + 1"} {
  sqlite3_wal_hook(
      db_.handle(),
      [](void* self, sqlite3*, const char*, int pages) {
        static_cast<commit_fence*>(self)->wal_pages_ = pages;
        return SQLITE_OK;
      },
      this);
}

commit_fence::~commit_fence() {
  sqlite3_wal_hook(db_.handle(), nullptr, nullptr);
}

std::optional<model::error> commit_fence::ready() {
  if (!pending_)
    return std::nullopt;
  if (!write())
    return model::error{model::code::store_failed, "appends are stopped: " + health_.trouble};
  health_.trouble.clear();
  return std::nullopt;
}

void commit_fence::committed() {
  ++health_.commits;
  pending_ = false;
  health_.trouble.clear();
}

void commit_fence::suspect(const failure& why, phase when) {
  ++health_.commit_failures;
  // One draft's fault, say.
  if (when != phase::committing && !why.store_wide())
    return;
  health_.trouble = why.text();
  // While statements run nothing should have reached the WAL; after an I/O error that is not relied
  // upon.
  pending_ = pending_ || when != phase::beginning;
}

bool commit_fence::settle() {
  return !pending_ || write();
}

void commit_fence::probe() {
  if (!health_.trouble.empty() && write())
    health_.trouble.clear();
}

bool commit_fence::write() {
  if (!enabled_) {
    pending_ = false;
    return true;
  }
  try {
    transaction fence{db_, transaction::kind::write};
    query{bump_}.run();
    fence.commit();
  } catch (const failure& why) {
    pending_ = true;
    health_.trouble = why.text();
    return false;
  }
  ++health_.fences;
  pending_ = false;
  return true;
}

void commit_fence::checkpoint_if_due() {
  // It started again from its beginning.
  if (wal_pages_ < checkpoint_at_ - checkpoint_pages)
    checkpoint_at_ = checkpoint_pages;
  if (wal_pages_ < checkpoint_at_)
    return;
  checkpoint_at_ = wal_pages_ + checkpoint_pages;
  bool restart = wal_pages_ >= restart_pages;
  if (restart)
    sqlite3_busy_timeout(db_.handle(), restart_wait_ms);
  auto code = sqlite3_wal_checkpoint_v2(
      db_.handle(), nullptr, restart ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE,
      nullptr, nullptr);
  if (restart)
    sqlite3_busy_timeout(db_.handle(), busy_wait_ms);
  // Busy: readers were in the way; the WAL keeps everything, and the next one goes on from there.
  if (code != SQLITE_OK && code != SQLITE_BUSY)
    ++health_.checkpoint_failures;
}

} // namespace confab::store
