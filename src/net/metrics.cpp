#include "net/metrics.hpp"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

namespace confab::net {

void metrics::rising(std::string_view name, std::string_view help, double value) {
  families_.push_back({name, help, true, {}, {{{}, value}}});
}

void metrics::rising(std::string_view name, std::string_view help, std::string_view label,
                     std::vector<labelled> values) {
  families_.push_back({name, help, true, label, std::move(values)});
}

void metrics::now(std::string_view name, std::string_view help, double value) {
  families_.push_back({name, help, false, {}, {{{}, value}}});
}

void metrics::now(std::string_view name, std::string_view help, std::string_view label,
                  std::vector<labelled> values) {
  families_.push_back({name, help, false, label, std::move(values)});
}

std::string metrics::text() const {
  std::vector<prometheus::MetricFamily> all;
  for (const auto& x : families_) {
    auto& made = all.emplace_back();
    made.name = x.name;
    made.help = x.help;
    made.type = x.rises ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
    for (const auto& [label, value] : x.values) {
      auto& figure = made.metric.emplace_back();
      if (!x.label.empty())
        figure.label.push_back({std::string{x.label}, label});
      figure.counter.value = figure.gauge.value = value;
    }
  }
  return prometheus::TextSerializer{}.Serialize(all);
}

} // namespace confab::net
