#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

// The parts of DESIGN §4 and STYLE.md that a machine can check, over every C++ file of the project.

namespace {

constexpr std::size_t header_lines_max = 300;
constexpr std::size_t source_lines_max = 400;

/// What a folder of src may include beside the standard library: prefixes of the text between the
/// quotes or brackets. "POSIX" stands for the headers below.
const std::map<std::string, std::vector<std::string>, std::less<>> allowed_by_folder{
    {"model", {"model/"}},
    {"store", {"model/", "store/", "sqlite3.h", "hiredis/", "POSIX"}},
    {"net",
     {"model/", "net/", "boost/", "nlohmann/", "openssl/", "prometheus/", "spdlog/", "POSIX"}},
    {"actors", {"model/", "store/", "net/", "actors/", "caf/", "spdlog/"}},
    {"bench", {"model/", "net/", "actors/", "bench/", "CLI/", "spdlog/", "POSIX"}},
    // src itself: the sub-commands and the options. CAF, Boost and SQLite each live in one folder.
    {"",
     {"model/", "store/", "net/", "actors/", "bench/", "config.hpp", "config_rules.hpp",
      "serve.hpp", "check.hpp", "nodes.hpp", "CLI/", "spdlog/", "POSIX"}},
};

const std::vector<std::string> posix_prefixes{
    "sys/",     "netinet/", "arpa/",    "unistd.h", "fcntl.h",   "pthread.h",
    "signal.h", "sched.h",  "poll.h",   "dirent.h", "netdb.h",   "time.h",
    "errno.h",  "stdlib.h", "string.h", "limits.h", "ifaddrs.h", "net/if.h"};

bool begins_with_any(std::string_view text, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const std::string& prefix) { return text.starts_with(prefix); });
}

bool may_include(std::string_view folder, std::string_view header, bool in_brackets) {
  bool standard = in_brackets && header.find_first_of("./") == std::string_view::npos;
  if (standard)
    return true;
  auto allowed = allowed_by_folder.find(folder);
  if (allowed == allowed_by_folder.end())
    return false;
  const auto& prefixes = allowed->second;
  bool posix = std::find(prefixes.begin(), prefixes.end(), "POSIX") != prefixes.end();
  return begins_with_any(header, prefixes) ||
         (posix && in_brackets && begins_with_any(header, posix_prefixes));
}

std::string without_comments(std::string_view text) {
  std::string code;
  while (!text.empty()) {
    auto begin = std::min(text.find("//"), text.find("/*"));
    code += text.substr(0, begin);
    if (begin == std::string_view::npos)
      break;
    bool line = text.substr(begin, 2) == "//";
    auto end = line ? text.find('\n', begin) : text.find("*/", begin + 2);
    if (end == std::string_view::npos)
      break;
    text.remove_prefix(line ? end : end + 2);
  }
  return code;
}

std::string_view skip_blank(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t\n"), text.size()));
  return text;
}

/// A comment is no handling either.
bool has_empty_catch(std::string_view text) {
  auto code = without_comments(text);
  for (auto at = code.find("catch"); at != std::string::npos; at = code.find("catch", at + 1)) {
    auto rest = skip_blank(std::string_view{code}.substr(at + 5));
    auto end = rest.find(')');
    if (!rest.starts_with('(') || end == std::string_view::npos)
      continue;
    rest = skip_blank(rest.substr(end + 1));
    if (rest.starts_with('{') && skip_blank(rest.substr(1)).starts_with('}'))
      return true;
  }
  return false;
}

/// `file.cpp:3: what is wrong`, for a line that includes something.
void check_include(const std::string& place, std::string_view folder, std::string_view line,
                   std::vector<std::string>& defects) {
  auto target = skip_blank(line.substr(std::string_view{"#include"}.size()));
  bool in_brackets = target.starts_with('<');
  if (target.empty())
    return;
  auto header = target.substr(1, target.find(in_brackets ? '>' : '"', 1) - 1);
  if (!may_include(folder, header, in_brackets))
    defects.push_back(place + "src/" + std::string{folder} + " must not include " +
                      std::string{header});
}

/// One line per defect.
/// @param path relative to the project, e.g. `src/net/wire/json.cpp`.
std::vector<std::string> defects_of(const std::string& path, const std::string& text) {
  std::vector<std::string> defects;
  const bool header = path.ends_with(".hpp");
  const bool in_src = path.starts_with("src/");
  auto inner = in_src ? path.substr(4) : "";
  auto slash = inner.find('/');
  auto folder = slash == std::string::npos ? "" : inner.substr(0, slash);

  bool once = false;
  std::size_t number = 0;
  std::istringstream in{text};
  for (std::string line; std::getline(in, line);) {
    ++number;
    auto place = path + ':' + std::to_string(number) + ": ";
    auto code = skip_blank(line);
    once = once || code == "#pragma once";
    if (in_src && code.starts_with("#include"))
      check_include(place, folder, code, defects);
    if (header && number == 1 && !line.starts_with("// "))
      defects.push_back(place + "line 1 of a header says in one sentence what the file is for");
    if (header && code.starts_with("using namespace"))
      defects.push_back(place + "using namespace in a header");
  }
  auto lines_max = header ? header_lines_max : source_lines_max;
  if (header && !once)
    defects.push_back(path + ": no #pragma once");
  if (number > lines_max)
    defects.push_back(path + ": has " + std::to_string(number) + " lines, more than " +
                      std::to_string(lines_max) + "; is it still one thing?");
  if (has_empty_catch(text))
    defects.push_back(path + ": empty catch");
  return defects;
}

std::string read(const std::filesystem::path& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

std::size_t defect_count(const std::string& path, const std::string& text) {
  return defects_of(path, text).size();
}

} // namespace

TEST_CASE("every file keeps the direction of includes and the form of STYLE.md") {
  const std::filesystem::path root{CONFAB_SOURCE_DIR};
  std::size_t files = 0;
  for (const auto* top : {"src", "tests", "bench"}) {
    if (!std::filesystem::exists(root / top))
      continue;
    for (const auto& file : std::filesystem::recursive_directory_iterator{root / top}) {
      auto extension = file.path().extension();
      if (!file.is_regular_file() || (extension != ".hpp" && extension != ".cpp"))
        continue;
      ++files;
      auto path = file.path().lexically_relative(root).generic_string();
      for (const auto& defect : defects_of(path, read(file.path())))
        FAIL_CHECK(defect);
    }
  }
  // A walk that finds nothing proves nothing.
  CHECK(files > 20);
}

TEST_CASE("an include against the direction is found, in every folder") {
  auto refused = [](const std::string& path, const std::string& header) {
    return defect_count(path, "#include " + header + "\n") == 1;
  };
  CHECK(refused("src/model/a.cpp", "\"store/log_store.hpp\""));
  CHECK(refused("src/model/a.cpp", "<caf/all.hpp>"));
  CHECK(refused("src/model/a.cpp", "<unistd.h>"));
  CHECK(refused("src/model/a.cpp", "<nlohmann/json.hpp>"));
  CHECK(refused("src/store/a.cpp", "\"net/hub.hpp\""));
  CHECK(refused("src/store/a.cpp", "<boost/asio.hpp>"));
  CHECK(refused("src/net/wire/a.cpp", "\"store/log_store.hpp\""));
  CHECK(refused("src/net/wire/a.cpp", "<sqlite3.h>"));
  CHECK(refused("src/net/a.cpp", "\"actors/interfaces.hpp\""));
  CHECK(refused("src/actors/a.cpp", "<boost/asio.hpp>"));
  CHECK(refused("src/actors/a.cpp", "<nlohmann/json.hpp>"));
  CHECK(refused("src/actors/a.cpp", "\"config.hpp\""));
  CHECK(refused("src/actors/a.cpp", "\"bench/report.hpp\""));
  CHECK(refused("src/bench/a.cpp", "<boost/asio.hpp>"));
  CHECK(refused("src/bench/a.cpp", "\"store/log_store.hpp\""));
  CHECK(refused("src/main.cpp", "<caf/all.hpp>"));
  CHECK(refused("src/serve.cpp", "<sqlite3.h>"));
  CHECK(refused("src/unknown/a.cpp", "\"model/entry.hpp\""));
}

TEST_CASE("an include along the direction is no defect") {
  auto taken = [](const std::string& path, const std::string& header) {
    return defect_count(path, "  #include " + header + "\n") == 0;
  };
  CHECK(taken("src/model/a.cpp", "<vector>"));
  CHECK(taken("src/model/a.cpp", "\"model/entry.hpp\""));
  CHECK(taken("src/store/a.cpp", "<sqlite3.h>"));
  CHECK(taken("src/store/a.cpp", "<sys/file.h>"));
  CHECK(taken("src/net/wire/a.cpp", "<nlohmann/json.hpp>"));
  CHECK(taken("src/net/a.cpp", "<boost/beast/core.hpp>"));
  CHECK(taken("src/actors/a.cpp", "<caf/typed_actor.hpp>"));
  CHECK(taken("src/bench/a.cpp", "\"actors/directory.hpp\""));
  CHECK(taken("src/serve.cpp", "\"actors/directory.hpp\""));
  CHECK(taken("src/main.cpp", "<CLI/CLI.hpp>"));
  CHECK(taken("tests/net/a.cpp", "<anything/at_all.h>"));
}

TEST_CASE("a header without its sentence, its guard or with using namespace is found") {
  CHECK(defect_count("src/model/a.hpp", "// What it is for.\n#pragma once\n") == 0);
  CHECK(defect_count("src/model/a.hpp", "#pragma once\n") == 1);
  CHECK(defect_count("src/model/a.hpp", "\n// What it is for.\n#pragma once\n") == 1);
  CHECK(defect_count("src/model/a.hpp", "// What it is for.\n") == 1);
  CHECK(defect_count("tests/support/a.hpp", "") == 1);
  CHECK(defect_count("src/model/a.hpp", "// X.\n#pragma once\nusing namespace std;\n") == 1);
  CHECK(defect_count("src/model/a.cpp", "using namespace std;\n") == 0);
}

TEST_CASE("a file that is too long is found") {
  auto long_header = "// X.\n#pragma once\n" + std::string(header_lines_max - 2, '\n');
  CHECK(defect_count("src/model/a.hpp", long_header) == 0);
  CHECK(defect_count("src/model/a.hpp", long_header + '\n') == 1);
  CHECK(defect_count("src/model/a.cpp", std::string(source_lines_max, '\n')) == 0);
  CHECK(defect_count("src/model/a.cpp", std::string(source_lines_max + 1, '\n')) == 1);
}

TEST_CASE("an empty catch is found, also around a comment") {
  // In pieces, so that this file is not a defect of itself.
  const std::string open = "try { f(); } catch (...) {";
  CHECK(defect_count("src/model/a.cpp", open + "}\n") == 1);
  CHECK(defect_count("src/model/a.cpp", open + "\n  // never mind\n}\n") == 1);
  CHECK(defect_count("src/model/a.cpp", open + " /* never\n mind */ }\n") == 1);
  CHECK(defect_count("tests/a.cpp", "try { f(); }\ncatch (const std::exception& x)\n{\n"
                                    "}\n") == 1);
  CHECK(defect_count("src/model/a.cpp", open + " log(); }\n") == 0);
  CHECK(defect_count("src/model/a.cpp", "// catch (...) {"
                                        "}\n") == 0);
}
