// What a load run found, and the forms in which people and programs get it.
#pragma once

#include "model/histogram.hpp"
#include "model/reception.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace confab::bench {

/// A number with a name for people. Units are `ns µs ms s`, `B KiB MiB GiB`, `/s`, `%`, or any
/// noun; text and page choose the size of unit that reads best, JSON keeps the given one.
struct figure {
  std::string name;
  double value = 0;
  std::string unit;
  /// What the value is and is not; may be empty.
  std::string note;
};

struct parameter {
  std::string name;
  std::string value;
  std::string unit;
};

/// Values in nanoseconds.
struct latency {
  std::string name;
  model::histogram values;
};

struct series {
  std::string name;
  std::string unit;
  /// Seconds since the run began, rising, and the value.
  std::vector<std::pair<double, double>> points;
};

struct server_description {
  std::string name;
  std::string version;
  /// What a receipt and a delivery of this server mean, in one line.
  std::string guarantees;
};

struct machine_description {
  unsigned cores = 0;
  std::string cpu;
  std::string kernel;
  /// Over the last minute.
  double load_average = 0;
};

/// Of the machine that this runs on; what it does not tell stays empty.
[[nodiscard]] machine_description this_machine();

/// Whether the server kept its promises, as far as the run looked.
struct verdict {
  enum class outcome : std::uint8_t { kept, broken, not_completed };

  struct offender {
    std::string client;
    std::string conversation;
    std::uint64_t seq = 0;
    std::string what;
  };

  outcome result = outcome::not_completed;
  /// Over all readers.
  model::reception_counts entries;
  std::uint64_t receipts = 0;
  /// Receipts whose entry is not in the log, not at its seq, or there twice.
  std::uint64_t receipts_missing_in_log = 0;
  std::uint64_t readers_compared_with_log = 0;
  std::uint64_t readers_different_from_log = 0;
  std::optional<offender> first;
};

[[nodiscard]] std::string_view to_string(verdict::outcome x) noexcept;

struct bench_report {
  std::string scenario;
  /// `2026-11-20T13:20:22Z`
  std::string started;
  server_description server;
  std::string command_line;
  machine_description machine;
  std::vector<parameter> parameters;
  std::vector<figure> figures;
  std::vector<latency> latencies;
  std::vector<bench::series> series;
  bench::verdict verdict;
  /// Why the run was not completed; else empty.
  std::string error;
};

/// The verdict in plain words, the outcome last.
[[nodiscard]] std::vector<std::string> sentences_of(const verdict& x, const std::string& error);

/// Aligned for a terminal of 100 columns, the verdict last. Control characters in names appear as
/// `?`.
[[nodiscard]] std::string text_of(const bench_report& x);

/// One JSON object with everything; keys carry their units.
[[nodiscard]] std::string json_of(const bench_report& x);

/// One page that needs no network and no script.
[[nodiscard]] std::string html_of(const bench_report& x);

/// The percentiles that every form shows.
inline constexpr double shown_percentiles[] = {50, 90, 99, 99.9};

} // namespace confab::bench
