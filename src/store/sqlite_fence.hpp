// What keeps a failed commit from coming back, and what a writing session says about its health.
#pragma once

#include "store/log_store.hpp"
#include "store/sqlite_database.hpp"

#include <optional>
#include <string>

namespace confab::store {

/// After a failed COMMIT its frames may lie complete in the WAL: a crash would bring them back. The
/// next transaction overwrites them, so a small one, the fence, is committed before anybody is told
/// "failed".
///
///   COMMIT fails ─> suspect ─> settle: fence ok     ─> store_failed: final
///                                      fence failed ─> append_unknown; `ready` refuses until a
///                                      fence succeeds
///
/// Also checkpoints, because a checkpoint that fails is no failed commit and must not look like
/// one.
class commit_fence {
public:
  /// @param enabled false only in the test that shows what happens without.
  commit_fence(database& db, bool enabled);
  commit_fence(const commit_fence&) = delete;
  commit_fence& operator=(const commit_fence&) = delete;
  ~commit_fence();

  /// Before each change. Why nothing may be written yet, if so.
  [[nodiscard]] std::optional<model::error> ready();
  /// A transaction was committed; it overwrote whatever an earlier one left.
  void committed();
  /// How far a transaction got.
  enum class phase { beginning, running, committing };
  /// A transaction failed in this phase and was rolled back.
  void suspect(const failure& why, phase when);
  /// Fences if there was reason to. False: the outcome of the suspected transaction is unknown.
  [[nodiscard]] bool settle();
  /// While there is trouble: whether a small commit works again, so that an idle server heals.
  void probe();

  /// Moves the WAL's pages into the database once there are enough of them; never fails a caller.
  void checkpoint_if_due();

  [[nodiscard]] const store::health& health() const noexcept { return health_; }

private:
  [[nodiscard]] bool write();

  /// 16 MiB: the pages of busy conversations are written once instead of four times. A checkpoint
  /// this long stalls the writer for milliseconds.
  static constexpr int checkpoint_pages = 4000;
  /// 32 MiB: then readers are waited for, shortly, so that the WAL can start again from its
  /// beginning.
  static constexpr int restart_pages = 2 * checkpoint_pages;
  static constexpr int restart_wait_ms = 100;

  database& db_;
  bool enabled_;
  bool pending_ = false;
  int wal_pages_ = 0;
  int checkpoint_at_ = checkpoint_pages;
  statement bump_;
  store::health health_;
};

} // namespace confab::store
