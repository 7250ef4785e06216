#include "support/fault_vfs.hpp"

#include <sqlite3.h>

#include <chrono>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <new>
#include <string>

namespace confab::test {

namespace {

struct {
  std::mutex mutex;
  std::condition_variable changed;
  fault what = fault::none;
  int times = -1;
  std::filesystem::path control;
  int hanging = 0;
  int syncs = 0;
  int writes = 0;
} disk;

/// @pre disk.mutex is held.
std::string word_in_file() {
  std::string word;
  if (!disk.control.empty()) {
    std::ifstream in{disk.control};
    in >> word;
  }
  return word;
}

/// @pre disk.mutex is held.
fault commanded() {
  if (disk.what != fault::none)
    return disk.what;
  auto word = word_in_file();
  return word == "full"                            ? fault::full
         : word == "fsync" || word == "fsync-once" ? fault::fsync
         : word == "hang"                          ? fault::hang
                                                   : fault::none;
}

/// Whether this operation fails. @pre disk.mutex is held.
bool strikes(fault x) {
  if (commanded() != x)
    return false;
  if (disk.what == x && disk.times > 0 && --disk.times == 0)
    disk.what = fault::none;
  else if (disk.what == fault::none && word_in_file() == "fsync-once")
    std::filesystem::remove(disk.control);
  return true;
}

/// The real file lies right behind this.
struct shim {
  sqlite3_file base;
};

sqlite3_file* real(sqlite3_file* x) {
  return reinterpret_cast<sqlite3_file*>(reinterpret_cast<char*>(x) + sizeof(shim));
}

int shim_write(sqlite3_file* x, const void* data, int size, sqlite3_int64 at) {
  {
    std::lock_guard lock{disk.mutex};
    ++disk.writes;
    if (strikes(fault::full))
      return SQLITE_FULL;
  }
  return real(x)->pMethods->xWrite(real(x), data, size, at);
}

int shim_sync(sqlite3_file* x, int flags) {
  {
    std::unique_lock lock{disk.mutex};
    ++disk.syncs;
    ++disk.hanging;
    disk.changed.notify_all();
    // A control file tells nobody that it changed.
    while (commanded() == fault::hang)
      disk.changed.wait_for(lock, std::chrono::milliseconds{5});
    --disk.hanging;
    if (strikes(fault::fsync))
      return SQLITE_IOERR_FSYNC;
  }
  return real(x)->pMethods->xSync(real(x), flags);
}

const sqlite3_io_methods methods{
    3,
    [](sqlite3_file* x) { return real(x)->pMethods->xClose(real(x)); },
    [](sqlite3_file* x, void* to, int size, sqlite3_int64 at) {
      return real(x)->pMethods->xRead(real(x), to, size, at);
    },
    shim_write,
    [](sqlite3_file* x, sqlite3_int64 size) { return real(x)->pMethods->xTruncate(real(x), size); },
    shim_sync,
    [](sqlite3_file* x, sqlite3_int64* size) {
      return real(x)->pMethods->xFileSize(real(x), size);
    },
    [](sqlite3_file* x, int how) { return real(x)->pMethods->xLock(real(x), how); },
    [](sqlite3_file* x, int how) { return real(x)->pMethods->xUnlock(real(x), how); },
    [](sqlite3_file* x, int* out) { return real(x)->pMethods->xCheckReservedLock(real(x), out); },
    [](sqlite3_file* x, int op, void* arg) {
      return real(x)->pMethods->xFileControl(real(x), op, arg);
    },
    [](sqlite3_file* x) { return real(x)->pMethods->xSectorSize(real(x)); },
    [](sqlite3_file* x) { return real(x)->pMethods->xDeviceCharacteristics(real(x)); },
    [](sqlite3_file* x, int page, int size, int extend, void volatile** out) {
      return real(x)->pMethods->xShmMap(real(x), page, size, extend, out);
    },
    [](sqlite3_file* x, int offset, int n, int flags) {
      return real(x)->pMethods->xShmLock(real(x), offset, n, flags);
    },
    [](sqlite3_file* x) { real(x)->pMethods->xShmBarrier(real(x)); },
    [](sqlite3_file* x, int erase) { return real(x)->pMethods->xShmUnmap(real(x), erase); },
    [](sqlite3_file* x, sqlite3_int64 at, int size, void** out) {
      return real(x)->pMethods->xFetch(real(x), at, size, out);
    },
    [](sqlite3_file* x, sqlite3_int64 at, void* page) {
      return real(x)->pMethods->xUnfetch(real(x), at, page);
    },
};

sqlite3_vfs* below(sqlite3_vfs* x) {
  return static_cast<sqlite3_vfs*>(x->pAppData);
}

int shim_open(sqlite3_vfs* vfs, sqlite3_filename name, sqlite3_file* file, int flags, int* out) {
  auto* made = new (file) shim{};
  int code = below(vfs)->xOpen(below(vfs), name, real(file), flags, out);
  // Without methods SQLite does not close it.
  if (code == SQLITE_OK)
    made->base.pMethods = &methods;
  return code;
}

} // namespace

const char* fault_vfs() {
  static sqlite3_vfs vfs = [] {
    sqlite3_initialize();
    // Everything that is not replaced here belongs to the default one, which finds itself by no
    // pointer.
    auto made = *sqlite3_vfs_find(nullptr);
    made.pAppData = sqlite3_vfs_find(nullptr);
    made.szOsFile += static_cast<int>(sizeof(shim));
    made.zName = "confab-fault";
    made.pNext = nullptr;
    made.xOpen = shim_open;
    made.xDelete = [](sqlite3_vfs* x, const char* name, int sync) {
      return below(x)->xDelete(below(x), name, sync);
    };
    made.xAccess = [](sqlite3_vfs* x, const char* name, int flags, int* out) {
      return below(x)->xAccess(below(x), name, flags, out);
    };
    made.xFullPathname = [](sqlite3_vfs* x, const char* name, int size, char* out) {
      return below(x)->xFullPathname(below(x), name, size, out);
    };
    return made;
  }();
  static const int registered = sqlite3_vfs_register(&vfs, 0);
  return registered == SQLITE_OK ? vfs.zName : "";
}

void set_fault(fault what, int times) {
  std::lock_guard lock{disk.mutex};
  disk.what = what;
  disk.times = times;
  disk.changed.notify_all();
}

void set_fault_file(const std::filesystem::path& control) {
  std::lock_guard lock{disk.mutex};
  disk.control = control;
}

int hanging_syncs() {
  std::lock_guard lock{disk.mutex};
  return commanded() == fault::hang ? disk.hanging : 0;
}

int syncs_asked() {
  std::lock_guard lock{disk.mutex};
  return disk.syncs;
}

int writes_asked() {
  std::lock_guard lock{disk.mutex};
  return disk.writes;
}

} // namespace confab::test
