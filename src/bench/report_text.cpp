#include "bench/quantity.hpp"
#include "bench/report.hpp"

#include <algorithm>

namespace confab::bench {

namespace {

constexpr std::size_t columns_max = 100;

/// Rows of cells; the first column is flush left, the others as `right` says.
struct table {
  std::vector<std::vector<std::string>> rows;
  std::vector<bool> right;

  void add_to(std::string& out) const {
    std::vector<std::size_t> widths(right.size());
    for (const auto& row : rows)
      for (std::size_t i = 0; i < row.size(); ++i)
        widths[i] = std::max(widths[i], columns_of(row[i]));
    for (const auto& row : rows) {
      std::string line = " ";
      for (std::size_t i = 0; i < row.size(); ++i) {
        std::string space(widths[i] - columns_of(row[i]), ' ');
        line += i == 0 ? " " : "  ";
        line += right[i] ? space + row[i] : row[i] + space;
      }
      line.erase(line.find_last_not_of(' ') + 1);
      out += line + '\n';
    }
  }
};

void add_wrapped(std::string& out, std::string_view text, const std::string& indent) {
  std::string line = indent;
  while (!text.empty()) {
    auto word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    if (line.size() > indent.size() && columns_of(line) + 1 + columns_of(word) > columns_max) {
      out += line + '\n';
      line = indent;
    }
    line += (line.size() > indent.size() ? " " : "") + std::string{word};
  }
  out += line + '\n';
}

void add_heading(std::string& out, const bench_report& x) {
  out += printable(x.scenario) + " on " + printable(x.server.name);
  if (!x.server.version.empty())
    out += ' ' + printable(x.server.version);
  out += x.started.empty() ? "\n" : ", " + printable(x.started) + '\n';
  if (!x.server.guarantees.empty())
    add_wrapped(out, "guarantees: " + printable(x.server.guarantees), "  ");
  const auto& m = x.machine;
  std::string machine = "machine: " + readable(m.cores) + (m.cores == 1 ? " core" : " cores");
  for (const auto* part : {&m.cpu, &m.kernel})
    if (!part->empty())
      machine += ", " + printable(*part);
  add_wrapped(out, machine + ", load average " + readable(m.load_average), "  ");
  if (!x.command_line.empty())
    add_wrapped(out, "command: " + printable(x.command_line), "  ");
}

void add_parameters(std::string& out, const std::vector<parameter>& all) {
  if (all.empty())
    return;
  std::string line;
  for (const auto& p : all)
    line += (line.empty() ? "parameters: " : ", ") + printable(p.name) + ' ' + printable(p.value) +
            (p.unit.empty() ? "" : ' ' + printable(p.unit));
  add_wrapped(out, line, "  ");
}

void add_figures(std::string& out, const std::vector<figure>& all) {
  if (all.empty())
    return;
  out += '\n';
  table t{{}, {false, true, false}};
  for (const auto& f : all)
    t.rows.push_back({printable(f.name), printable(readable(f.value, f.unit)), printable(f.note)});
  t.add_to(out);
}

void add_latencies(std::string& out, const std::vector<latency>& all) {
  if (all.empty())
    return;
  out += '\n';
  table t{{{"latency", "count", "min"}}, {}};
  for (double p : shown_percentiles)
    t.rows[0].push_back('p' + readable(p));
  t.rows[0].push_back("max");
  t.right.assign(t.rows[0].size(), true);
  t.right[0] = false;
  for (const auto& x : all) {
    const auto& values = x.values;
    auto time = [&](std::int64_t ns) {
      return values.count() == 0 ? "-" : readable(static_cast<double>(ns), "ns");
    };
    std::vector<std::string> row{printable(x.name), readable(static_cast<double>(values.count())),
                                 time(values.min())};
    for (double p : shown_percentiles)
      row.push_back(time(values.percentile(p)));
    row.push_back(time(values.max()));
    t.rows.push_back(std::move(row));
  }
  t.add_to(out);
}

std::string count_of(std::uint64_t n, std::string_view one, std::string_view many) {
  return readable(static_cast<double>(n)) + ' ' + std::string{n == 1 ? one : many};
}

} // namespace

std::string_view to_string(verdict::outcome x) noexcept {
  switch (x) {
  case verdict::outcome::kept:
    return "kept";
  case verdict::outcome::broken:
    return "broken";
  case verdict::outcome::not_completed:
    return "not completed";
  }
  return "unknown";
}

std::vector<std::string> sentences_of(const verdict& x, const std::string& error) {
  std::vector<std::string> lines;
  auto number = [](std::uint64_t n) { return readable(static_cast<double>(n)); };
  const auto& e = x.entries;
  auto line = count_of(e.entries, "entry", "entries") + " checked: " + number(e.missing) +
              " missing, " + number(e.repeated) + " repeated, " + number(e.reordered) +
              " reordered, " + number(e.foreign) + " foreign";
  if (e.announced > 0)
    line += "; " + number(e.announced) + " announced as missing by the server";
  lines.push_back(line + '.');
  if (x.receipts > 0)
    lines.push_back(count_of(x.receipts, "receipt", "receipts") + ", " +
                    number(x.receipts_missing_in_log) + " of them not in the log as promised.");
  if (x.readers_compared_with_log > 0)
    lines.push_back(count_of(x.readers_compared_with_log, "reader", "readers") +
                    " compared with the log, " + number(x.readers_different_from_log) +
                    " different.");
  else
    lines.emplace_back("Not compared with the server's log.");
  if (x.first)
    lines.push_back("First offence: client " + printable(x.first->client) + ", conversation " +
                    printable(x.first->conversation) + ", seq " + std::to_string(x.first->seq) +
                    ": " + printable(x.first->what) + '.');
  switch (x.result) {
  case verdict::outcome::kept:
    lines.emplace_back("KEPT: everything that was checked is as promised.");
    break;
  case verdict::outcome::broken:
    lines.emplace_back("BROKEN: the server did not keep its promises; the figures are void.");
    break;
  case verdict::outcome::not_completed:
    lines.emplace_back("NOT COMPLETED: " + (error.empty() ? "no reason given" : printable(error)) +
                       '.');
    break;
  }
  if (x.result != verdict::outcome::not_completed && !error.empty())
    lines.insert(lines.end() - 1, "Error: " + printable(error) + '.');
  return lines;
}

std::string text_of(const bench_report& x) {
  std::string out;
  add_heading(out, x);
  add_parameters(out, x.parameters);
  add_figures(out, x.figures);
  add_latencies(out, x.latencies);
  out += '\n';
  for (const auto& line : sentences_of(x.verdict, x.error))
    add_wrapped(out, line, "");
  return out;
}

} // namespace confab::bench
