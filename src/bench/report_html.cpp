#include "bench/quantity.hpp"
#include "bench/report.hpp"
#include "bench/svg_chart.hpp"

#include <algorithm>
#include <cmath>

namespace confab::bench {

namespace {

constexpr std::string_view style = R"(
:root{color-scheme:light dark;--paper:#fff;--ink:#1c2430;--soft:#566072;--faint:#dfe3ea;--good:#12703a;--bad:#b3261e;
--unsure:#8a5300;--curve-0:#1f5fbf;--curve-1:#c2410c;--curve-2:#12803f;--curve-3:#8031c4;--curve-4:#a8690a;--curve-5:#b8256e}
@media(prefers-color-scheme:dark){:root{--paper:#14181f;--ink:#e4e8ef;--soft:#a3adbd;--faint:#333b48;--good:#66cf8f;
--bad:#ff8a80;--unsure:#f0b452;--curve-0:#7fb2ff;--curve-1:#ff9a66;--curve-2:#66d48f;--curve-3:#c89bff;--curve-4:#eabf5e;
--curve-5:#ff8fc3}}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:58rem;margin:0 auto;padding:2rem 1.2rem 4rem}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .3rem}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}
p{margin:.3rem 0}.soft{color:var(--soft)}code{overflow-wrap:anywhere}
.verdict{border-left:.35rem solid;padding:.5rem 1rem;margin:1.4rem 0}.verdict p:first-child{font-weight:650;font-size:1.1rem}
.kept{border-color:var(--good)}.broken{border-color:var(--bad)}.not-completed{border-color:var(--unsure)}
.kept p:first-child{color:var(--good)}.broken p:first-child{color:var(--bad)}
.not-completed p:first-child{color:var(--unsure)}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.3rem 1.1rem .3rem 0;border-bottom:1px solid var(--faint);vertical-align:top}
thead th{color:var(--soft);font-weight:500}tbody th{font-weight:500}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
figure{margin:1rem 0 0}figcaption{color:var(--soft)}svg{width:100%;height:auto;display:block}
svg text{fill:var(--soft);font:13px system-ui,sans-serif}svg .legend{fill:var(--ink)}
.grid{stroke:var(--faint)}.axis{stroke:var(--soft)}.curve{fill:none;stroke-width:2;stroke-linejoin:round}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1.2rem;margin:0}dt{color:var(--soft)}dd{margin:0}
)";

std::string time_text(double ns) {
  return readable(ns, "ns");
}

/// 0 … 1 over the decades of rarity: half of the axis' first decade is p68, its end p90.
double rarity(double percent, double decades) {
  return std::log10(100 / std::max(100 - percent, 1e-12)) / decades;
}

/// The latencies by percentile, the axis stretched so that each further nine has the same room.
chart latency_chart(const std::vector<latency>& all) {
  chart x{.title = "Latency by percentile",
          .summary = "Both axes are logarithmic. The table of latencies has the same figures.",
          .x_label = "percentile",
          .y_label = "latency"};
  double low = 1e18, high = 1, values = 1;
  for (const auto& of : all) {
    if (of.values.count() == 0)
      continue;
    low = std::min(low, static_cast<double>(std::max<std::int64_t>(of.values.min(), 1)));
    high = std::max(high, static_cast<double>(of.values.max()));
    values = std::max(values, static_cast<double>(of.values.count()));
  }
  low = std::min(low, high);
  // Beyond the rarest of the values there is nothing to see.
  const auto decades = std::clamp(std::log10(values), 1.0, 6.0);
  x.x_ticks.push_back({0, "0 %"});
  x.x_ticks.push_back({rarity(50, decades), "50 %"});
  for (int nines = 1; nines <= static_cast<int>(decades); ++nines) {
    auto percent = 100 - std::pow(10, 2 - nines);
    auto text = nines < 3 ? readable(percent)
                          : "99." + std::string(static_cast<std::size_t>(nines) - 2, '9');
    x.x_ticks.push_back({nines / decades, text + " %"});
  }
  const auto from = std::floor(std::log10(low)),
             to = std::max(std::ceil(std::log10(high)), from + 1);
  auto height = [&](double ns) { return (std::log10(std::max(ns, 1.0)) - from) / (to - from); };
  for (auto power = from; power <= to; ++power)
    for (double factor : {1.0, 2.0, 5.0})
      // With many decades only their beginnings are named.
      if ((factor == 1 || to - from <= 3) && (factor == 1 || power < to))
        x.y_ticks.push_back(
            {height(factor * std::pow(10, power)), time_text(factor * std::pow(10, power))});
  for (const auto& of : all) {
    if (of.values.count() == 0)
      continue;
    curve c{of.name, {}};
    constexpr int steps = 240;
    for (int i = 0; i <= steps; ++i) {
      auto percent = 100 - 100 * std::pow(10, -decades * i / steps);
      c.points.emplace_back(static_cast<double>(i) / steps,
                            height(static_cast<double>(of.values.percentile(percent))));
    }
    x.curves.push_back(std::move(c));
  }
  return x;
}

/// At most so many points: the means of equal parts.
std::vector<std::pair<double, double>> thinned(const std::vector<std::pair<double, double>>& all) {
  constexpr std::size_t points_max = 600;
  if (all.size() <= points_max)
    return all;
  std::vector<std::pair<double, double>> out;
  for (std::size_t part = 0; part < points_max; ++part) {
    auto begin = part * all.size() / points_max, end = (part + 1) * all.size() / points_max;
    double at = 0, value = 0;
    for (auto i = begin; i < end; ++i) {
      at += all[i].first;
      value += all[i].second;
    }
    auto n = static_cast<double>(end - begin);
    out.emplace_back(at / n, value / n);
  }
  return out;
}

chart series_chart(const series& of) {
  chart x{.title = of.name, .x_label = "seconds", .y_label = of.name};
  std::vector<std::pair<double, double>> points;
  for (const auto& p : of.points)
    if (std::isfinite(p.first) && std::isfinite(p.second))
      points.push_back(p);
  double seconds = 0, high = 0;
  for (const auto& [at, value] : points) {
    seconds = std::max(seconds, at);
    high = std::max(high, value);
  }
  const auto across = linear_steps(seconds), up = linear_steps(high);
  for (auto at : across)
    x.x_ticks.push_back({at / across.back(), readable(at)});
  for (auto value : up)
    x.y_ticks.push_back({value / up.back(), readable(value, of.unit)});
  curve c{of.name, {}};
  for (const auto& [at, value] : thinned(points))
    c.points.emplace_back(at / across.back(), value / up.back());
  x.curves.push_back(std::move(c));
  x.summary = "Over " + readable(seconds) + " seconds; at most " + readable(high, of.unit) + '.';
  return x;
}

std::string cell(std::string_view text, bool number = false) {
  return (number ? "<td class=\"number\">" : "<td>") + escaped(text) + "</td>";
}

std::string head(std::string_view scope, std::string_view text, bool number = false) {
  return "<th scope=\"" + std::string{scope} + '"' + (number ? " class=\"number\">" : ">") +
         escaped(text) + "</th>";
}

void add_verdict(std::string& out, const bench_report& x) {
  auto kind = x.verdict.result == verdict::outcome::kept     ? "kept"
              : x.verdict.result == verdict::outcome::broken ? "broken"
                                                             : "not-completed";
  auto sentences = sentences_of(x.verdict, x.error);
  std::rotate(sentences.begin(), sentences.end() - 1, sentences.end()); // the outcome first
  out += "<section class=\"verdict " + std::string{kind} + "\" aria-label=\"Verdict\">";
  for (const auto& sentence : sentences)
    out += "<p>" + escaped(sentence) + "</p>";
  out += "</section>";
}

void add_figures(std::string& out, const std::vector<figure>& all) {
  if (all.empty())
    return;
  out += "<h2>Figures</h2><div class=\"wide\"><table><thead><tr>" + head("col", "What") +
         head("col", "Value", true) + head("col", "Note") + "</tr></thead><tbody>";
  for (const auto& f : all)
    out += "<tr>" + head("row", f.name) + cell(readable(f.value, f.unit), true) + cell(f.note) +
           "</tr>";
  out += "</tbody></table></div>";
}

void add_latencies(std::string& out, const std::vector<latency>& all) {
  if (all.empty())
    return;
  out += "<h2>Latencies</h2><div class=\"wide\"><table><thead><tr>" + head("col", "What") +
         head("col", "Count", true) + head("col", "min", true);
  for (double p : shown_percentiles)
    out += head("col", 'p' + readable(p), true);
  out += head("col", "max", true) + "</tr></thead><tbody>";
  for (const auto& x : all) {
    const auto& v = x.values;
    auto time = [&](std::int64_t ns) {
      return cell(v.count() == 0 ? "-" : time_text(static_cast<double>(ns)), true);
    };
    out += "<tr>" + head("row", x.name) + cell(readable(static_cast<double>(v.count())), true) +
           time(v.min());
    for (double p : shown_percentiles)
      out += time(v.percentile(p));
    out += time(v.max()) + "</tr>";
  }
  out += "</tbody></table></div><figure><figcaption>Latency by percentile</figcaption>" +
         svg_of(latency_chart(all), "latency") + "</figure>";
}

void add_series(std::string& out, const std::vector<series>& all) {
  if (all.empty())
    return;
  out += "<h2>Over time</h2>";
  for (std::size_t i = 0; i < all.size(); ++i)
    if (!all[i].points.empty())
      out += "<figure><figcaption>" + escaped(all[i].name) + "</figcaption>" +
             svg_of(series_chart(all[i]), "series-" + std::to_string(i)) + "</figure>";
}

void add_circumstances(std::string& out, const bench_report& x) {
  auto row = [&](std::string_view name, const std::string& value) {
    if (!value.empty())
      out += "<dt>" + escaped(name) + "</dt><dd>" + escaped(value) + "</dd>";
  };
  out += "<h2>Circumstances</h2><dl>";
  row("server", x.server.name + ' ' + x.server.version);
  row("guarantees", x.server.guarantees);
  row("started", x.started);
  row("cores", readable(x.machine.cores));
  row("CPU", x.machine.cpu);
  row("kernel", x.machine.kernel);
  row("load average", readable(x.machine.load_average));
  for (const auto& p : x.parameters)
    row(p.name, p.value + (p.unit.empty() ? "" : ' ' + p.unit));
  out += "</dl>";
  if (!x.command_line.empty())
    out += "<p><code>" + escaped(x.command_line) + "</code></p>";
}

} // namespace

std::string html_of(const bench_report& x) {
  auto title = escaped(x.scenario + " on " + x.server.name + ' ' + x.server.version);
  std::string out =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>" +
      title + "</title><style>" + std::string{style} + "</style></head>\n<body><main><h1>" + title +
      "</h1>";
  if (!x.started.empty())
    out += "<p class=\"soft\">" + escaped(x.started) + "</p>";
  add_verdict(out, x);
  out += '\n';
  add_figures(out, x.figures);
  out += '\n';
  add_latencies(out, x.latencies);
  out += '\n';
  add_series(out, x.series);
  out += '\n';
  add_circumstances(out, x);
  return out + "</main></body></html>\n";
}

} // namespace confab::bench
