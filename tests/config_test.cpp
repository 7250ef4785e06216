#include "support/config_bed.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

using namespace confab;
using namespace confab::test;

namespace {

/// What config.ini must be: each option commented out, below its sentence and its bounds.
std::string expected_ini() {
  std::string text = "; Options of `confab serve --config-file=config.ini`. Each is commented out "
                     "and shows its default.\n"
                     "; The command line (--section.option=value) wins over this file. A value may "
                     "stand in double quotes.\n";
  std::string section;
  for (const auto& row : options()) {
    auto dot = row.name.find('.');
    if (row.name.substr(0, dot) != section) {
      section = row.name.substr(0, dot);
      text += "\n[" + section + "]\n";
    }
    auto kind = demand(row);
    kind.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(kind.front())));
    auto fallback = value_text(row, config{});
    text += "\n; " + std::string{row.doc} + "\n; " + kind + ".\n;" +
            std::string{row.name.substr(dot + 1)} + " = " + (fallback.empty() ? "\"\"" : fallback) +
            "\n";
  }
  return text;
}

std::vector<std::string> lines(const std::string& text) {
  std::istringstream in{text};
  std::vector<std::string> all;
  for (std::string line; std::getline(in, line);)
    all.push_back(line);
  return all;
}

std::string shipped_ini() {
  std::ifstream in{CONFAB_SOURCE_DIR "/config.ini", std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

} // namespace

TEST_CASE("config.ini lists exactly the table's options with their defaults and bounds") {
  auto expected = lines(expected_ini());
  auto shipped = lines(shipped_ini());
  auto [want, have] =
      std::mismatch(expected.begin(), expected.end(), shipped.begin(), shipped.end());
  CHECK_MESSAGE(want == expected.end(), "missing: ", *want);
  CHECK_MESSAGE(have == shipped.end(), "not expected: ", *have);
}

TEST_CASE("config.ini, uncommented, parses to the defaults") {
  std::string text;
  std::size_t count = 0;
  for (auto line : lines(shipped_ini())) {
    if (line.size() > 1 && line[0] == ';' && line[1] != ' ') {
      line.erase(0, 1);
      ++count;
    }
    text += line + '\n';
  }
  auto loaded = load(text);
  CHECK(loaded.errors.empty());
  CHECK(loaded.values == config{});
  CHECK(count == options().size());
}

TEST_CASE("every default is within its own bounds, and every option reaches its own field") {
  scratch_file pem{"-----BEGIN CERTIFICATE-----\n"};
  const std::string_view certificates[] = {"cluster.certificate", "cluster.key", "cluster.ca"};
  for (const auto& row : options()) {
    CAPTURE(row.name);
    auto fallback = value_text(row, config{});
    auto same = load_config(std::nullopt, std::vector{given(std::string{row.name}, fallback)});
    CHECK(same.errors.empty());
    CHECK(same.values == config{});
    // A value of this type that differs from the default changes this field and no other.
    auto other = fallback == "true" || fallback == "false" ? "true"
                 : row.unit.find('|') != row.unit.npos ? row.unit.substr(row.unit.rfind('|') + 1)
                                                       : "";
    std::string value{other};
    if (value.empty())
      value = row.name == "net.address"        ? "127.0.0.2"
              : row.name == "cluster.address"  ? "127.0.0.2"
              : row.name == "net.idle_ms"      ? "80000"
              : row.name == "store.directory"  ? "elsewhere"
              : row.name == "store.retention"  ? "room:* 30d - -"
              : row.name == "redis.address"    ? "127.0.0.1:6379"
              : row.name == "redis.pubsub_in"  ? "in:*"
              : row.name == "redis.pubsub_out" ? "out:{name}"
                                               : std::to_string(row.min + 1);
    std::map<std::string_view, std::string> set{{row.name, value}};
    if (row.name == "redis.role" || row.name == "cluster.port")
      set["redis.address"] = "127.0.0.1:6379";
    if (row.name == "cluster.port")
      set["redis.role"] = "log";
    if (std::count(std::begin(certificates), std::end(certificates), row.name) > 0)
      for (auto name : certificates)
        set[name] = pem.path();
    if (row.name == "redis.user")
      set["redis.password_file"] = "secret";
    std::vector<setting> settings;
    for (const auto& [name, text] : set)
      settings.push_back(given(std::string{name}, text));
    auto changed = load_config(std::nullopt, settings);
    CHECK(changed.errors.empty());
    for (const auto& each : options()) {
      auto want = set.contains(each.name) ? set[each.name] : value_text(each, config{});
      CHECK(value_text(each, changed.values) == want);
    }
  }
}

TEST_CASE("the command line wins over the file, the file over the defaults") {
  auto loaded = load("[net]\nport = 1\nthreads = 3\n", {given("net.port", "2")});
  CHECK(loaded.errors.empty());
  CHECK(loaded.values.net.port == 2);
  CHECK(loaded.values.net.threads == 3);
  CHECK(loaded.values.net.ring_entries == 256);
}

TEST_CASE("quotes, blanks, comments, CRLF and a section opened again are understood") {
  auto loaded = load("; a comment\r\n  [store] ; here\r\ndirectory=\"a ; b\" ; its name\r\n[log]\n"
                     "\tlevel\t=\tdebug ; loud\n[store]\nreaders=7\nretention = ; none\n");
  CHECK(loaded.errors.empty());
  CHECK(loaded.values.store.directory == "a ; b");
  CHECK(loaded.values.store.readers == 7);
  CHECK(loaded.values.store.retention.empty());
  CHECK(loaded.values.log.level == log_level::debug);
}

TEST_CASE("a wrong value is refused with file, line, option, limit and kind") {
  auto refusal = [](const std::string& line, const std::string& section = "net") {
    return only_error(load("[" + section + "]\n\n" + line + "\n"));
  };
  CHECK(refusal("port = 70000") ==
        "config.ini:3: net.port: 70000 is out of range; a number from 0 to 65535 is needed");
  CHECK(refusal("port = -1") ==
        "config.ini:3: net.port: -1 is out of range; a number from 0 to 65535 is needed");
  CHECK(refusal("drain_ms = 99999999999999999999999") ==
        "config.ini:3: net.drain_ms: 99999999999999999999999 is out of range; a number of ms from "
        "0 to "
        "3600000 is needed");
  CHECK(refusal("payload_bytes = 262145") == "config.ini:3: net.payload_bytes: 262145 is out of "
                                             "range; a number of bytes from 1 to 262144 is "
                                             "needed");
  CHECK(refusal("port = eighty") ==
        "config.ini:3: net.port: eighty is not a number; a number from 0 to 65535 is needed");
  CHECK(refusal("port = 1 2") ==
        "config.ini:3: net.port: 1 2 is not a number; a number from 0 to 65535 is needed");
  CHECK(refusal("port =") ==
        "config.ini:3: net.port: has no value; a number from 0 to 65535 is needed");
  CHECK(refusal("insecure = yes") ==
        "config.ini:3: net.insecure: yes is neither true nor false; true or false is needed");
  CHECK(refusal("synchronous = FULL", "store") ==
        "config.ini:3: store.synchronous: FULL is none of its values; one of full, normal, off is "
        "needed");
  CHECK(refusal("directory = \"\"", "store") ==
        "config.ini:3: store.directory: has no value; a text of 1 to 4096 bytes is needed");
  CHECK(refusal("directory = " + std::string(4097, 'x'), "store") ==
        "config.ini:3: store.directory: is too long; a text of 1 to 4096 bytes is needed");
}

TEST_CASE("a Redis address is a host with its port or a socket's path, and role log needs one") {
  CHECK(load("[redis]\naddress = 127.0.0.1:6379\nrole = log\n").errors.empty());
  CHECK(
      only_error(load("[redis]\nrole = log\n")).starts_with("config.ini:2: redis.role: log needs"));
  CHECK(only_error(load("[redis]\naddress = localhost\n"))
            .starts_with("config.ini:2: redis.address: localhost is neither host:port"));
  CHECK(only_error(load("[redis]\naddress = rediss://h:1\n")).find("TLS") != std::string::npos);
  CHECK(only_error(load("[redis]\nuser = x\n")) ==
        "config.ini:2: redis.user: x needs redis.password_file");
}

TEST_CASE("a Redis password is the first line of its file, which must have one") {
  scratch_file file{"sesame\nsecond\n"};
  config::redis_group group;
  group.address = "h:1";
  group.password_file = file.path();
  auto how = redis_options_of(group);
  REQUIRE(how);
  CHECK(how->password == "sesame");
  scratch_file empty{"\nsesame\n"};
  group.password_file = empty.path();
  CHECK_FALSE(redis_options_of(group));
  group.password_file = "/nonexistent/file";
  CHECK_FALSE(redis_options_of(group));
}

TEST_CASE("an unknown option or section is refused, with the name that was probably meant") {
  CHECK(only_error(load("[net]\nprot = 1\n")) ==
        "config.ini:2: net.prot: no such option; did you mean net.port?");
  CHECK(only_error(load("[net]\ndirectory = x\n")) ==
        "config.ini:2: net.directory: no such option; did you mean store.directory?");
  CHECK(only_error(load("[net]\ncompletely_unheard_of = 1\n")) ==
        "config.ini:2: net.completely_unheard_of: no such option");
  CHECK(only_error(load("[clusters]\nname = x\n")) ==
        "config.ini:1: [clusters]: no such section; net, store, redis, cluster and log exist");
  CHECK(only_error(load("", {given("port", "1")})) ==
        "--port: no such option; did you mean net.port?");
}

TEST_CASE("a malformed line is refused, wherever it stands") {
  const std::string needed = "malformed line; [section], key = value (in double quotes if wanted) "
                             "or a comment behind ; is needed";
  CHECK(only_error(load("[net]\nport\n")) == "config.ini:2: " + needed);
  CHECK(only_error(load("[net]\n# port = 1\n")) == "config.ini:2: " + needed);
  CHECK(only_error(load("[net]\n= 1\n")) == "config.ini:2: " + needed);
  CHECK(only_error(load("[store]\ndirectory = \"a\n")) == "config.ini:2: " + needed);
  CHECK(only_error(load("[store]\ndirectory = \"a\" b\n")) == "config.ini:2: " + needed);
  CHECK(only_error(load("[net\nport = 1\n")).starts_with("config.ini:1: malformed section line"));
  CHECK(only_error(load("[net] port = 1\n")).starts_with("config.ini:1: malformed section line"));
  CHECK(only_error(load("port = 1\n")) ==
        "config.ini:1: port stands before any [section]; did you mean net.port?");
}

TEST_CASE("an option set twice in the file is refused, with both lines") {
  CHECK(only_error(load("[net]\nport = 1\n[log]\n[net]\nport = 1\n")) ==
        "config.ini:5: net.port: was set in line 2 already");
}

TEST_CASE("every error is reported, not only the first") {
  auto loaded = load("[net]\nport = x\nprot = 1\noops\n[nat]\n[log]\nlevel = loud\n",
                     {given("net.threads", "many")});
  CHECK(loaded.errors.size() == 6);
}

TEST_CASE("a named file that is missing or no file is an error, and no name reads none") {
  CHECK(only_error(load_config("/nonexistent/config.ini", {})) ==
        "/nonexistent/config.ini: cannot be read: No such file or directory");
  CHECK(only_error(load_config("/", {})) == "/: cannot be read: Is a directory");
  CHECK(only_error(load(std::string(1024 * 1024 + 1, '\n'))) == "config.ini: is larger than 1 MiB");
  auto none = load_config(std::nullopt, {});
  CHECK(none.errors.empty());
  CHECK(none.values == config{});
}
