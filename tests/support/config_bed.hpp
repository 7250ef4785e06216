// Loads options from a file of their own, for tests of what is taken and refused.
#pragma once

#include "config.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>

namespace confab::test {

/// A file called config.ini in a directory of its own, for as long as this lives.
class scratch_file {
public:
  explicit scratch_file(const std::string& text) {
    std::string pattern = std::filesystem::temp_directory_path() / "confab_config_XXXXXX";
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    directory_ = pattern;
    std::ofstream{path()} << text;
  }
  ~scratch_file() { std::filesystem::remove_all(directory_); }
  scratch_file(const scratch_file&) = delete;
  scratch_file& operator=(const scratch_file&) = delete;

  [[nodiscard]] std::filesystem::path path() const { return directory_ / "config.ini"; }

private:
  std::filesystem::path directory_;
};

inline loaded_config load(const std::string& ini, const std::vector<setting>& command_line = {}) {
  scratch_file file{ini};
  auto loaded = load_config(file.path(), command_line);
  auto directory = file.path().parent_path().string() + '/';
  for (auto& line : loaded.errors)
    if (line.starts_with(directory))
      line.erase(0, directory.size());
  return loaded;
}

inline setting given(const std::string& name, const std::string& value) {
  return {name, value, "--" + name};
}

inline std::string only_error(const loaded_config& loaded) {
  REQUIRE_MESSAGE(loaded.errors.size() == 1, [&] {
    std::string all;
    for (const auto& line : loaded.errors)
      all += line + '\n';
    return all;
  }());
  return loaded.errors.front();
}

} // namespace confab::test
