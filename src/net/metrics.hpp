// What `/metrics` shows: figures by name, in the text format of Prometheus.
#pragma once

#include "model/counter.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace confab::net {

/// Names, helps and labels are literals. A name is given once.
class metrics {
public:
  /// One value of a label, and the figure that belongs to it.
  using labelled = std::pair<std::string, double>;

  /// A number that only rises while the process lives; its name ends in `_total`.
  void rising(std::string_view name, std::string_view help, double value);
  void rising(std::string_view name, std::string_view help, std::string_view label,
              std::vector<labelled> values);
  /// A number as it is now.
  void now(std::string_view name, std::string_view help, double value);
  void now(std::string_view name, std::string_view help, std::string_view label,
           std::vector<labelled> values);

  [[nodiscard]] std::string text() const;

private:
  struct family {
    std::string_view name, help;
    bool rises;
    /// Empty: one figure, without a label.
    std::string_view label;
    std::vector<labelled> values;
  };
  std::vector<family> families_;
};

/// The Content-Type of the text.
inline constexpr std::string_view metrics_type = "text/plain; version=0.0.4; charset=utf-8";

/// A figure for each code that has one. @param count_of (code) -> its figure; 0: it has none.
template <class CountOf>
[[nodiscard]] std::vector<metrics::labelled> by_code(CountOf count_of) {
  std::vector<metrics::labelled> result;
  for (std::size_t i = 0; i < model::counters_by_code<model::counter>::codes; ++i) {
    auto code = static_cast<model::code>(i);
    if (auto count = count_of(code); count > 0)
      result.emplace_back(to_string(code), static_cast<double>(count));
  }
  return result;
}

} // namespace confab::net
