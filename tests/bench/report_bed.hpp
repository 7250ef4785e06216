// A load run's report as it could be, for the tests of its forms.
#pragma once

#include "bench/report.hpp"

#include <cmath>
#include <random>

namespace confab::test {

/// 1,000 readers for ten seconds; figures that are easy to recognise.
inline bench::bench_report sample_report() {
  bench::bench_report x;
  x.scenario = "fanout";
  x.started = "2026-11-20T13:20:22Z";
  x.server = {"confab", "0.1.0",
              "a receipt is durable; every reader gets every entry once, in order"};
  x.command_line = "confab bench fanout --readers 1000 --rate 50";
  x.machine = {2, "Intel Xeon", "Linux 6.18", 1.25};
  x.parameters = {{"readers", "1000", ""}, {"rate", "50", "/s"}, {"bytes", "200", "B"}};
  x.figures = {{"server CPU per delivery", 4.912, "µs", "user and system"},
               {"deliveries", 1'412'345, "/s", ""},
               {"private memory per connection", 5928.96, "B", "server"}};
  std::mt19937_64 random{1};
  std::lognormal_distribution<double> fast{13.5, 0.5}, slow{14.5, 0.9};
  model::histogram delivery, receipt;
  for (int i = 0; i < 200'000; ++i)
    delivery.record(static_cast<std::int64_t>(fast(random)));
  for (int i = 0; i < 5000; ++i)
    receipt.record(static_cast<std::int64_t>(slow(random)));
  x.latencies = {{"delivery", delivery}, {"receipt", receipt}};
  bench::series rate{"deliveries", "/s", {}}, memory{"server private memory", "MiB", {}};
  for (int second = 0; second <= 30; ++second) {
    rate.points.emplace_back(second, 48'000 + 3000 * std::sin(second * 0.7));
    memory.points.emplace_back(second, 20 + second * 0.3);
  }
  x.series = {rate, memory};
  x.verdict.result = bench::verdict::outcome::kept;
  x.verdict.entries = {.entries = 500'000};
  x.verdict.receipts = 500;
  x.verdict.readers_compared_with_log = 1000;
  return x;
}

} // namespace confab::test
