// The program confab on a disk that fails on command: the file named by CONFAB_FAULT_FILE says
// how (fault_vfs.hpp).
#include "support/fault_vfs.hpp"

#include <sqlite3.h>

#include <cstdlib>
#include <iostream>

/// The program's own main, compiled under this name.
int confab_main(int argc, char** argv);

int main(int argc, char** argv) {
  const char* control = std::getenv("CONFAB_FAULT_FILE");
  if (control == nullptr) {
    std::cerr << "CONFAB_FAULT_FILE: is not set; it names the file that says how the disk fails\n";
    return 2;
  }
  confab::test::set_fault_file(control);
  // From here on a database that names no VFS is opened through this one.
  if (sqlite3_vfs_register(sqlite3_vfs_find(confab::test::fault_vfs()), 1) != SQLITE_OK)
    return 1;
  return confab_main(argc, argv);
}
