#include "bench/run_bench.hpp"
#include "check.hpp"
#include "config.hpp"
#include "net/load/confab_dialect.hpp"
#include "net/load/http_dialect.hpp"
#include "nodes.hpp"
#include "serve.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>

namespace {

using namespace confab;

constexpr int usage_error = 2;

/// What a command takes besides the options of the table.
struct option_arguments {
  std::string config_file;
  bool insecure = false;
};

/// @param section of the table; empty: all.
void declare(CLI::App& command, option_arguments& arguments, std::string_view section = {}) {
  command
      .add_option("--config-file", arguments.config_file,
                  "INI file to read; without it no file is read")
      ->type_name("FILE");
  for (const auto& row : options()) {
    if (!row.name.starts_with(section))
      continue;
    auto fallback = value_text(row, config{});
    // An empty value is a value: `--store.retention=` takes back what the file says.
    command.add_option("--" + std::string{row.name})
        ->expected(0, 1)
        ->type_name("VALUE")
        ->description(std::string{row.doc} + " Takes " + demand(row) +
                      ". Default: " + (fallback.empty() ? "none" : fallback) + '.');
  }
  // What is left over is reported together with every other error, by load_config.
  command.allow_extras();
}

/// Everything after the command as settings, in the table's order, and then what is no option.
std::vector<setting> settings_of(const CLI::App& command, const option_arguments& arguments) {
  std::vector<setting> settings;
  for (const auto& row : options()) {
    auto flag = "--" + std::string{row.name};
    const auto* given = command.get_option_no_throw(flag);
    if (given != nullptr && given->count() > 0)
      settings.push_back({std::string{row.name}, given->results().front(), flag});
  }
  if (arguments.insecure)
    settings.push_back({"net.insecure", "true", "--insecure"});
  bool is_value = false;
  for (const auto& extra : command.remaining()) {
    auto flag = extra.substr(0, extra.find('='));
    auto name = flag.find_first_not_of('-');
    // The word behind an unknown `--option` is its value, not a mistake of its own.
    if (name != 0 || !is_value)
      settings.push_back({name == std::string::npos ? "" : flag.substr(name), "", flag});
    is_value = name != 0 && flag == extra;
  }
  return settings;
}

/// Runs `what` with the options, or says what is wrong with them.
template <class Do>
int with_options(const CLI::App& command, const option_arguments& arguments, Do what) {
  std::optional<std::filesystem::path> file;
  if (command.get_option("--config-file")->count() > 0)
    file = arguments.config_file;
  auto loaded = load_config(file, settings_of(command, arguments));
  for (const auto& line : loaded.errors)
    std::cerr << line << '\n';
  return loaded.errors.empty() ? what(loaded.values) : usage_error;
}

int run_nodes(const config& values, bool as_json) {
  if (!values.redis.address.empty())
    return print_nodes(values.redis, as_json);
  std::cerr << "--redis.address: has no value; nodes are found in the Redis that they share\n";
  return usage_error;
}

/// Everything after `confab bench`; its options are its own.
int run_confab_bench(int argc, char** argv) {
  std::string name = "confab bench";
  std::vector<char*> arguments{name.data()};
  arguments.insert(arguments.end(), argv + 2, argv + argc);
  const net::load::server_kind* kinds[] = {&net::load::confab_server(),
                                           &net::load::confab_events_server(),
                                           &net::load::confab_stream_server()};
  return bench::run_bench(static_cast<int>(arguments.size()), arguments.data(), kinds);
}

} // namespace

// Without memory for the options there is nothing to run.
// NOLINTNEXTLINE(bugprone-exception-escape)
int main(int argc, char** argv) {
  if (argc > 1 && std::string_view{argv[1]} == "bench")
    return run_confab_bench(argc, argv);
  CLI::App app{
      "Confab, a conversation server: ordered, durable conversations over WebSocket and HTTP.",
      "confab"};
  app.set_version_flag("--version", "confab " CONFAB_VERSION);
  app.require_subcommand(0, 1);
  app.get_formatter()->column_width(34);

  option_arguments arguments;
  auto* serve_command = app.add_subcommand("serve", "Run the server");
  declare(*serve_command, arguments);
  serve_command->add_flag("--insecure", arguments.insecure, "Same as --net.insecure=true");

  bool as_json = false;
  auto* nodes_command =
      app.add_subcommand("nodes", "Print the live nodes of the clusters in a Redis");
  declare(*nodes_command, arguments, "redis.");
  nodes_command->add_flag("--json", as_json, "One line of JSON instead of a table");

  std::string directory;
  auto* check_command =
      app.add_subcommand("check", "Prove that a log is whole; no server may have it open");
  check_command->add_option(
      "DIR", directory,
      "Directory of the log (store.directory); without it, --redis.address has it");
  declare(*check_command, arguments, "redis.");
  // Only for the list of commands: it is taken above.
  app.add_subcommand("bench", "Load a server, measure it, and check its promises while it does");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& ending) {
    // --help and --version end here too, with 0.
    return app.exit(ending) == 0 ? 0 : usage_error;
  }
  if (app.get_subcommands().empty()) {
    std::cerr << app.help();
    return usage_error;
  }
  if (*serve_command)
    return with_options(*serve_command, arguments, serve);
  if (*nodes_command)
    return with_options(*nodes_command, arguments,
                        [&](const config& values) { return run_nodes(values, as_json); });
  return with_options(*check_command, arguments,
                      [&](const config& values) { return check(directory, values); });
}
