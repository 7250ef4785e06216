// The scenarios of `confab bench`, each with its parameters: name, default, bounds, unit, meaning.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace confab::bench {

class bench_run;

struct scenario_parameter {
  std::string_view name;
  double fallback;
  double min;
  double max;
  /// `bytes`, `s`, `/s`, `ms`, or empty: a count.
  std::string_view unit;
  std::string_view doc;
};

struct scenario {
  std::string_view name;
  /// One sentence.
  std::string_view doc;
  std::vector<scenario_parameter> parameters;
  void (*run)(bench_run& x);
};

[[nodiscard]] std::span<const scenario> scenarios();

// One function per scenario, grouped by file: steady load; connections; readers that catch up;
// trouble.

void fanout(bench_run& x);
void rooms(bench_run& x);
void tokens(bench_run& x);
void publish(bench_run& x);
void idle(bench_run& x);
void storm(bench_run& x);
void lag(bench_run& x);
void stall(bench_run& x);
void churn(bench_run& x);
void soak(bench_run& x);

} // namespace confab::bench
