// One run of a scenario: its parameters, its clients, its measured window, its report.
#pragma once

#include "actors/load_run.hpp"
#include "bench/process_usage.hpp"
#include "bench/report.hpp"
#include "bench/scenario.hpp"

#include <map>
#include <string>
#include <string_view>

namespace confab::bench {

/// What all scenarios share.
struct bench_options {
  std::string server = "confab";
  std::string address = "127.0.0.1";
  /// One for each node; the first one's pages are compared at the end.
  std::vector<std::uint16_t> ports = {8080};
  std::vector<int> pids;
  std::size_t threads = 1;
  double patience_s = 10;
  double deadline_s = 300;
  bool progress = false;
  std::string json;
  std::string html;
  std::uint64_t seed = 0;
  /// What the conversations' names begin with.
  std::string prefix;
  std::size_t log_entries_max = 0;
  /// Soak: the process to kill, and how the server is started again.
  int kill_pid = 0;
  std::string restart;
};

/// Between two moments: what was counted and what it cost.
struct measured_span {
  actors::load_totals before;
  actors::load_totals after;
  process_usage usage_before;
  process_usage usage_after;
  std::int64_t own_cpu_ns = 0;

  [[nodiscard]] double seconds() const {
    return static_cast<double>(after.at_ns - before.at_ns) / 1e9;
  }
  [[nodiscard]] double cpu_us() const {
    return static_cast<double>(usage_after.cpu_ns - usage_before.cpu_ns) / 1000;
  }
  [[nodiscard]] double entries() const {
    return static_cast<double>(after.entries - before.entries);
  }
  [[nodiscard]] double receipts() const {
    return static_cast<double>(after.receipts - before.receipts);
  }
};

/// What scenarios are told in. Steps that wait throw `actors::run_ended`.
class bench_run {
public:
  using group = actors::load_run::group;
  using plan = model::publish_schedule::plan;

  struct readers_of {
    std::string name = "reader";
    std::size_t count = 1;
    /// Spread over so many conversations from the first on.
    std::uint32_t first = 0;
    std::uint32_t conversations = 1;
    /// Follow from the beginning, not from now on.
    bool from_start = false;
    bool timed = true;
    int receive_bytes = 0;
  };

  /// @param to the nodes; at least one.
  bench_run(const net::load::server_kind& kind, const std::vector<net::load::endpoint>& to,
            const bench_options& how, std::map<std::string, double, std::less<>> values);

  // Parameters.

  [[nodiscard]] double number(std::string_view name) const;
  [[nodiscard]] std::uint32_t count(std::string_view name) const;

  // Clients.

  /// @pre before any client is added.
  void add_conversations(std::uint32_t n);
  /// Entries will have `bytes` of JSON text; `readers`: some will be read back. @pre before any
  /// publisher is added
  void set_payload(std::size_t bytes, bool readers);
  group add_readers(const readers_of& x);
  /// Publishers that share the conversations out: each has its own while there are enough, else
  /// they share one.
  group add_publishers(std::size_t n, std::uint32_t conversations);

  [[nodiscard]] actors::load_run& load() noexcept { return load_; }

  // Steps.

  void connect(group x, std::uint32_t at_once = 256);
  /// As `load_run::publish`, from now on.
  void publish_at(group x, double per_s, std::uint32_t burst, std::uint32_t flight);
  void publish_some(group x, std::uint64_t entries, std::uint32_t flight);
  [[nodiscard]] measured_span begin();
  void end(measured_span& x);
  /// Warms up, then measures `seconds` with a window for latencies.
  [[nodiscard]] measured_span measure();
  /// Nothing more is published; everything that was must arrive.
  void settle(group publishers);
  /// Waits until every reader has everything that was published so far.
  void await_all();

  // Findings.

  void figure(std::string name, double value, std::string unit, std::string note = {});
  /// Rates and CPU of a span whose unit of work is `unit`.
  void cost(const measured_span& x, double units, const std::string& unit);
  void memory(const measured_span& x, double connections);
  void take_latencies(const std::string& suffix = {});

  /// Ends the clients and judges the run.
  void judge();
  [[nodiscard]] bench_report& report() noexcept { return report_; }
  [[nodiscard]] const bench_options& options() const noexcept { return how_; }
  [[nodiscard]] const net::load::server_kind& kind() const noexcept { return board_.server; }
  /// What the server calls itself; empty if it does not say.
  [[nodiscard]] std::string server_version() const { return board_.version(); }
  [[nodiscard]] bool has_pids() const noexcept { return !how_.pids.empty(); }

  /// Called while the run waits, as `load_run::settings::on_tick`.
  std::function<std::string()> each_tick;

private:
  group add(std::string name, std::vector<net::load::socket_settings> clients);
  std::string tick();
  void sample(std::int64_t now);
  void show(const actors::load_totals& x, double entries_s, double receipts_s,
            const model::histogram& lately);

  const bench_options& how_;
  std::map<std::string, double, std::less<>> values_;
  net::load::load_board board_;
  actors::load_run load_;
  bench_report report_;
  std::size_t payload_bytes_ = 0;
  std::uint32_t publishers_ = 0;
  std::size_t clients_ = 0;
  std::int64_t begun_ns_;
  std::int64_t sampled_ns_;
  actors::load_totals sampled_;
  process_usage sampled_usage_;
};

} // namespace confab::bench
