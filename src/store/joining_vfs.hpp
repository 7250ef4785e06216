// A SQLite VFS that writes what a commit adds to the write-ahead log in one piece.
#pragma once

#include <string>

namespace confab::store {

/// SQLite writes each page of a commit to the WAL with two calls, its header and its content. This
/// VFS gathers writes that follow each other until the file is synced, read, or asked for its size;
/// other files are opened as they are below it.
///
/// Only for connections with `synchronous = full` (or higher): they sync the WAL before a commit is
/// visible to anybody. Under `normal` nothing would tell when a commit has ended.
///
/// Registers it over the VFS `below` at the first call; empty: over the default one. Any thread.
/// @returns its name; empty if there is no VFS `below`.
[[nodiscard]] std::string joining_vfs(const std::string& below);

} // namespace confab::store
