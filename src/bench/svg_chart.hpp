// Line charts as SVG text, drawn here so that a report needs nothing but itself.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace confab::bench {

/// A place on an axis, 0 (left, bottom) … 1 (right, top), and what stands there.
struct tick {
  double at = 0;
  std::string text;
};

struct curve {
  std::string name;
  /// Each from 0 to 1; rising in x.
  std::vector<std::pair<double, double>> points;
};

/// Scales are the caller's: the chart only draws.
struct chart {
  std::string title;
  /// The same in words, for those who cannot see it.
  std::string summary = {};
  std::string x_label = {}, y_label = {};
  std::vector<tick> x_ticks = {}, y_ticks = {};
  std::vector<curve> curves = {};
};

/// An `svg` element that takes its colours from the page: custom properties `--ink`, `--faint` and
/// `--curve-0` … `--curve-5`; curves differ by dashes too. @param id is distinct within the page,
/// of letters, digits and `-`.
[[nodiscard]] std::string svg_of(const chart& x, std::string_view id);

/// For text and attribute values of HTML and SVG; control characters become `?`.
[[nodiscard]] std::string escaped(std::string_view text);

/// Round places for a scale that begins at 0 and reaches at least `max`; the last is its end.
[[nodiscard]] std::vector<double> linear_steps(double max);

} // namespace confab::bench
