// One process per store directory, by an advisory lock that ends with the process.
#pragma once

#include "model/error.hpp"

#include <filesystem>
#include <utility>

namespace confab::store {

/// Holds `DIR/lock` (which contains the holder's pid) until destroyed.
class directory_lock {
public:
  /// Creates the directory (mode 0700) when `create` is set and it is missing.
  /// Errors: `store_failed`: not writable, or held by another process, whose pid it names.
  [[nodiscard]] static model::result<directory_lock> take(const std::filesystem::path& directory,
                                                          bool create);

  directory_lock(directory_lock&& other) noexcept : file_{std::exchange(other.file_, -1)} {}
  directory_lock& operator=(directory_lock&&) = delete;
  ~directory_lock();

private:
  explicit directory_lock(int file) : file_{file} {}

  int file_;
};

} // namespace confab::store
