// A SQLite VFS over the default one whose disk fails on command: full, failing fsync, hanging
// fsync.
#pragma once

#include <filesystem>

namespace confab::test {

enum class fault {
  none,
  full,  ///< Writes fail with SQLITE_FULL and write nothing.
  fsync, ///< Syncs fail with SQLITE_IOERR_FSYNC; what was written before stays.
  hang,  ///< Syncs wait until the fault is another one.
};

/// Registers the VFS at the first call. @returns its name, for `store::options::vfs`.
const char* fault_vfs();

/// From now on, on every file opened through the VFS, from any thread.
/// @param times how many operations fail before all is well again; negative: until told otherwise.
void set_fault(fault what, int times = -1);

/// Additionally obeys a file, read at each write and sync: `ok`, `full`, `fsync`, `hang`, or
/// `fsync-once`, which removes the file. Missing: `ok`. For a server in a process of its own. An
/// empty path ends it.
void set_fault_file(const std::filesystem::path& control);

/// Syncs that hang right now.
[[nodiscard]] int hanging_syncs();
/// Syncs asked for since the process began, failed ones included.
[[nodiscard]] int syncs_asked();
/// Writes likewise.
[[nodiscard]] int writes_asked();

/// No fault left behind, whatever a test does.
struct fault_scope {
  fault_scope() { set_fault(fault::none); }
  fault_scope(const fault_scope&) = delete;
  fault_scope& operator=(const fault_scope&) = delete;
  ~fault_scope() { set_fault(fault::none); }
};

} // namespace confab::test
