#include "store/directory_lock.hpp"

#include <cerrno>
#include <fcntl.h>
#include <string>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace confab::store {

namespace {

model::error refused(const std::filesystem::path& directory, const std::string& why) {
  return {model::code::store_failed, "store.directory " + directory.string() + ": " + why};
}

std::string reason(int code) {
  return std::generic_category().message(code);
}

/// So that a new directory is still there after a power cut. A file system that cannot do it:
/// nothing to gain.
void sync_directory(const std::filesystem::path& directory) {
  auto path = directory.empty() ? std::filesystem::path{"."} : directory;
  int file = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0)
    return;
  ::fsync(file);
  ::close(file);
}

model::status make_directories(const std::filesystem::path& directory) {
  std::error_code failed;
  if (std::filesystem::is_directory(directory, failed))
    return model::nothing{};
  if (auto parent = directory.parent_path(); !parent.empty())
    if (auto made = make_directories(parent); !made)
      return made;
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
    return refused(directory, "cannot be created: " + reason(errno) +
                                  "; choose a directory that this user may write");
  sync_directory(directory.parent_path());
  return model::nothing{};
}

std::string holder(int file) {
  char text[32] = {};
  auto size = ::pread(file, text, sizeof text - 1, 0);
  std::string pid{text, size > 0 ? static_cast<std::size_t>(size) : 0};
  return pid.substr(0, pid.find_first_not_of("0123456789"));
}

} // namespace

model::result<directory_lock> directory_lock::take(const std::filesystem::path& directory,
                                                   bool create) {
  // Without a trailing slash, so that the parent is the parent.
  auto path = directory.has_filename() ? directory : directory.parent_path();
  if (create)
    if (auto made = make_directories(path); !made)
      return made.why();
  auto name = path / "lock";
  int file = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0)
    return refused(directory, "cannot be written: " + reason(errno) +
                                  "; give this user the right to write there, or choose another");
  directory_lock lock{file};
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK)
      return refused(directory, "cannot be locked: " + reason(errno));
    return refused(directory, "is in use by process " + holder(file) +
                                  "; stop it first, or choose another directory");
  }
  auto pid = std::to_string(::getpid()) + '\n';
  if (::ftruncate(file, 0) != 0 ||
      ::pwrite(file, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size()))
    return refused(directory,
                   "cannot be written: " + reason(errno) + "; free space or choose another");
  return lock;
}

directory_lock::~directory_lock() {
  if (file_ >= 0)
    ::close(file_);
}

} // namespace confab::store
