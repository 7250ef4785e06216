#include "store/joining_vfs.hpp"

#include <sqlite3.h>

#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

namespace confab::store {

namespace {

/// Two dozen pages; of a longer commit each such piece is written when it is full.
constexpr int piece_bytes = 128 * 1024;

/// An open WAL. The file below lies right behind it, as SQLite allocates both.
struct joined_file {
  sqlite3_file base{};
  /// Gathered: `size` bytes that belong at `at`.
  std::unique_ptr<char[]> piece;
  sqlite3_int64 at = 0;
  int size = 0;
};

joined_file& joined(sqlite3_file* x) {
  return *std::launder(reinterpret_cast<joined_file*>(x));
}

sqlite3_file* below(sqlite3_file* x) {
  return reinterpret_cast<sqlite3_file*>(reinterpret_cast<char*>(x) + sizeof(joined_file));
}

/// What cannot be written is forgotten: SQLite takes the commit as failed, and its frames are
/// written over.
int flush(sqlite3_file* x) {
  auto& file = joined(x);
  auto size = std::exchange(file.size, 0);
  if (size == 0)
    return SQLITE_OK;
  return below(x)->pMethods->xWrite(below(x), file.piece.get(), size, file.at);
}

int write(sqlite3_file* x, const void* data, int size, sqlite3_int64 at) {
  auto& file = joined(x);
  auto follows = at == file.at + file.size;
  if (file.size > 0 && (!follows || size > piece_bytes - file.size))
    if (int code = flush(x); code != SQLITE_OK)
      return code;
  if (!file.piece)
    file.piece.reset(new (std::nothrow) char[piece_bytes]);
  if (!file.piece || size > piece_bytes)
    return below(x)->pMethods->xWrite(below(x), data, size, at);
  if (file.size == 0)
    file.at = at;
  std::memcpy(file.piece.get() + file.size, data, static_cast<std::size_t>(size));
  file.size += size;
  return SQLITE_OK;
}

/// @returns what `then` does once everything is written, or why it is not.
template <class Function>
int flushed(sqlite3_file* x, Function then) {
  int code = flush(x);
  return code == SQLITE_OK ? then(below(x)) : code;
}

int close(sqlite3_file* x) {
  int written = flush(x);
  int closed = below(x)->pMethods->xClose(below(x));
  std::destroy_at(&joined(x));
  return written == SQLITE_OK ? closed : written;
}

/// Version 1: a WAL is neither mapped nor locked.
const sqlite3_io_methods methods{
    1,
    close,
    [](sqlite3_file* x, void* to, int size, sqlite3_int64 at) {
      return flushed(x, [&](auto* y) { return y->pMethods->xRead(y, to, size, at); });
    },
    write,
    [](sqlite3_file* x, sqlite3_int64 size) {
      return flushed(x, [&](auto* y) { return y->pMethods->xTruncate(y, size); });
    },
    [](sqlite3_file* x, int flags) {
      return flushed(x, [&](auto* y) { return y->pMethods->xSync(y, flags); });
    },
    [](sqlite3_file* x, sqlite3_int64* size) {
      return flushed(x, [&](auto* y) { return y->pMethods->xFileSize(y, size); });
    },
    [](sqlite3_file* x, int how) { return below(x)->pMethods->xLock(below(x), how); },
    [](sqlite3_file* x, int how) { return below(x)->pMethods->xUnlock(below(x), how); },
    [](sqlite3_file* x, int* out) { return below(x)->pMethods->xCheckReservedLock(below(x), out); },
    [](sqlite3_file* x, int op, void* arg) {
      return below(x)->pMethods->xFileControl(below(x), op, arg);
    },
    [](sqlite3_file* x) { return below(x)->pMethods->xSectorSize(below(x)); },
    [](sqlite3_file* x) { return below(x)->pMethods->xDeviceCharacteristics(below(x)); },
    nullptr,
    nullptr,
    nullptr,
    nullptr,
    nullptr,
    nullptr,
};

sqlite3_vfs* below(sqlite3_vfs* x) {
  return static_cast<sqlite3_vfs*>(x->pAppData);
}

int open(sqlite3_vfs* vfs, sqlite3_filename name, sqlite3_file* file, int flags, int* out) {
  if ((flags & SQLITE_OPEN_WAL) == 0)
    return below(vfs)->xOpen(below(vfs), name, file, flags, out);
  auto* made = new (file) joined_file;
  int code = below(vfs)->xOpen(below(vfs), name, below(file), flags, out);
  // Without methods SQLite does not close it.
  if (code == SQLITE_OK)
    made->base.pMethods = &methods;
  else
    std::destroy_at(made);
  return code;
}

struct registered {
  std::string name;
  sqlite3_vfs vfs{};
};

} // namespace

std::string joining_vfs(const std::string& below_name) {
  static std::mutex guard;
  // SQLite keeps pointers to them for as long as the process lives.
  static std::map<sqlite3_vfs*, registered> all;
  auto* under = sqlite3_vfs_find(below_name.empty() ? nullptr : below_name.c_str());
  if (under == nullptr)
    return {};
  std::lock_guard lock{guard};
  auto [i, is_new] = all.try_emplace(under);
  auto& [name, vfs] = i->second;
  if (!is_new)
    return name;
  name = std::string{under->zName} + "-joined";
  // What is not replaced finds itself by no pointer.
  vfs = *under;
  vfs.pAppData = under;
  vfs.szOsFile += static_cast<int>(sizeof(joined_file));
  vfs.zName = name.c_str();
  vfs.pNext = nullptr;
  vfs.xOpen = open;
  vfs.xDelete = [](sqlite3_vfs* x, const char* path, int sync) {
    return below(x)->xDelete(below(x), path, sync);
  };
  vfs.xAccess = [](sqlite3_vfs* x, const char* path, int flags, int* out) {
    return below(x)->xAccess(below(x), path, flags, out);
  };
  vfs.xFullPathname = [](sqlite3_vfs* x, const char* path, int size, char* out) {
    return below(x)->xFullPathname(below(x), path, size, out);
  };
  if (sqlite3_vfs_register(&vfs, 0) != SQLITE_OK) {
    all.erase(i);
    return {};
  }
  return name;
}

} // namespace confab::store
