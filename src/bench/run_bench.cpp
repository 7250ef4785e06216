#include "bench/run_bench.hpp"

#include "bench/bench_run.hpp"
#include "net/load/log_pages.hpp"

#include <CLI/CLI.hpp>

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <ctime>
#include <fstream>
#include <iostream>
#include <random>
#include <thread>

namespace confab::bench {

namespace {

constexpr std::size_t threads_max = 64;
constexpr double wait_s_max = 86'400;

/// A count is written without a point.
std::string text_of(double x) {
  char text[40];
  std::snprintf(text, sizeof text, "%.10g", x);
  return text;
}

std::string text_of(const scenario_parameter& x) {
  return std::string{x.doc} + ". Default: " + text_of(x.fallback);
}

/// Counts, bytes and milliseconds are whole numbers; rates and seconds need not be.
CLI::Validator bounds_of(const scenario_parameter& x) {
  const bool whole = x.unit != "/s" && x.unit != "s";
  auto wanted = std::string{whole ? "a whole number" : "a number"} + " from " + text_of(x.min) +
                " to " + text_of(x.max);
  return {[=, min = x.min, max = x.max](const std::string& text) {
            double value = 0;
            auto taken = CLI::detail::lexical_cast(text, value) && value >= min && value <= max &&
                         (!whole || value == std::floor(value));
            return taken ? std::string{} : "must be " + wanted + ", is " + text;
          },
          wanted + (x.unit.empty() ? "" : ", " + std::string{x.unit})};
}

using values = std::map<std::string, double, std::less<>>;

void declare_common(CLI::App& app, bench_options& x) {
  app.add_option("--address", x.address, "Where the server listens: an address or a name")
      ->capture_default_str();
  app.add_option("--port", x.ports,
                 "Its port; of a cluster, one for each node: clients are spread over them")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
  app.add_option(
         "--pid", x.pids,
         "A process of the server, for CPU and memory; may be given several times, children "
         "are counted")
      ->check(CLI::PositiveNumber);
  app.add_option("--threads", x.threads, "Load threads")
      ->check(CLI::Range(std::size_t{1}, threads_max))
      ->capture_default_str();
  app.add_option("--patience", x.patience_s,
                 "Seconds in which nothing at all comes from the server before the run ends")
      ->check(CLI::Range(0.1, wait_s_max))
      ->capture_default_str();
  app.add_option("--deadline", x.deadline_s, "Seconds that no single wait may exceed")
      ->check(CLI::Range(0.1, wait_s_max))
      ->capture_default_str();
  app.add_flag("--progress", x.progress,
               "A line per second on stderr; the default if stderr is a terminal");
  app.add_option("--json", x.json, "Write everything to this file as JSON")->type_name("FILE");
  app.add_option("--html", x.html, "Write a page with charts to this file")->type_name("FILE");
  app.add_option("--seed", x.seed, "Of what is random; printed");
  app.add_option("--prefix", x.prefix,
                 "What the conversations' names begin with; they must be new ones");
  app.add_option("--log-entries", x.log_entries_max,
                 "Entries of one log that are kept to be compared, 8 bytes each")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 32))
      ->capture_default_str();
}

void declare_scenario(CLI::App& app, const scenario& of, values& into, bench_options& options) {
  auto* command = app.add_subcommand(std::string{of.name}, std::string{of.doc});
  // Options of the run may stand behind the scenario too.
  command->fallthrough();
  for (const auto& x : of.parameters) {
    auto& value = into[std::string{x.name}];
    value = x.fallback;
    command->add_option("--" + std::string{x.name}, value, text_of(x))
        ->check(bounds_of(x))
        ->type_name("");
  }
  if (of.name != "soak")
    return;
  auto* restart = command->add_option("--restart", options.restart,
                                      "The command that starts the server again, for the shell");
  command
      ->add_option("--kill", options.kill_pid,
                   "The server's process: it is killed (-9) at random moments and started again")
      ->check(CLI::PositiveNumber)
      ->needs(restart);
}

/// Every connection is a file descriptor.
void raise_descriptor_limit() {
  rlimit x{};
  if (::getrlimit(RLIMIT_NOFILE, &x) != 0)
    return;
  x.rlim_cur = x.rlim_max;
  // If it stays as it was, `bench_run` says how many are missing.
  static_cast<void>(::setrlimit(RLIMIT_NOFILE, &x));
}

std::string now_text() {
  auto now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

/// @returns whether it was written.
bool write_file(const std::string& path, const std::string& text) {
  std::ofstream out{path, std::ios::binary};
  out << text;
  out.close();
  if (!out)
    std::cerr << path << ": could not be written\n";
  return static_cast<bool>(out);
}

int status_of(const verdict& x) {
  switch (x.result) {
  case verdict::outcome::kept:
    return status_kept;
  case verdict::outcome::broken:
    return status_broken;
  case verdict::outcome::not_completed:
    break;
  }
  return status_not_completed;
}

int run(const scenario& what, const net::load::server_kind& kind, const bench_options& options,
        const values& given, const std::string& command_line) {
  std::string why;
  std::vector<net::load::endpoint> to;
  for (auto port : options.ports) {
    auto place = net::load::resolve(options.address, port, why);
    if (!place) {
      std::cerr << why << '\n';
      return status_usage;
    }
    to.push_back(std::move(*place));
  }
  raise_descriptor_limit();
  bench_run x{kind, to, options, given};
  auto& report = x.report();
  report.scenario = what.name;
  report.started = now_text();
  report.server = {kind.about().name, {}, kind.about().guarantees};
  report.command_line = command_line;
  report.machine = this_machine();
  for (const auto& y : what.parameters)
    report.parameters.push_back(
        {std::string{y.name}, text_of(given.at(std::string{y.name})), std::string{y.unit}});
  report.parameters.push_back({"seed", std::to_string(options.seed), ""});
  try {
    // So that a server that is down is told at once.
    if (auto failure = net::load::log_pages{to.front(), options.patience_s}.connect();
        !failure.empty())
      throw actors::run_ended{failure};
    what.run(x);
    x.judge();
  } catch (const actors::run_ended& ending) {
    report.verdict.result = verdict::outcome::not_completed;
    report.error = ending.what();
  }
  report.server.version = x.server_version();
  std::cout << text_of(report) << std::flush;
  auto written = (options.json.empty() || write_file(options.json, json_of(report))) &
                 (options.html.empty() || write_file(options.html, html_of(report)));
  auto status = status_of(report.verdict);
  return written || status != status_kept ? status : status_not_completed;
}

} // namespace

int run_bench(int argc, char** argv, std::span<const net::load::server_kind* const> kinds) {
  bench_options options;
  options.seed = std::random_device{}();
  options.prefix = "bench/" + std::to_string(std::time(nullptr)) + '-' + std::to_string(::getpid());
  options.log_entries_max = std::size_t{1} << 24;
  options.progress = ::isatty(STDERR_FILENO) != 0;
  CLI::App app{"Loads a server, measures it, and checks its promises while it does", argv[0]};
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  declare_common(app, options);
  std::vector<std::string> names;
  for (const auto* x : kinds)
    names.push_back(x->about().name);
  options.server = names.front();
  app.add_option("--server", options.server, "What the server is")
      ->check(CLI::IsMember(names))
      ->capture_default_str();
  std::vector<values> given(scenarios().size());
  for (std::size_t i = 0; i < given.size(); ++i)
    declare_scenario(app, scenarios()[i], given[i], options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& ending) {
    return app.exit(ending) == 0 ? 0 : status_usage;
  }
  auto chosen = static_cast<std::size_t>(
      std::find_if(scenarios().begin(), scenarios().end(),
                   [&](const scenario& x) { return app.got_subcommand(std::string{x.name}); }) -
      scenarios().begin());
  auto kind = static_cast<std::size_t>(std::find(names.begin(), names.end(), options.server) -
                                       names.begin());
  std::string command_line;
  for (int i = 0; i < argc; ++i)
    command_line += (i == 0 ? "" : " ") + std::string{argv[i]};
  std::cerr << "seed " << options.seed << '\n';
  return run(scenarios()[chosen], *kinds[kind], options, given[chosen], command_line);
}

} // namespace confab::bench
