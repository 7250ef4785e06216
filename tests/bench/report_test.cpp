#include "bench/report_bed.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <limits>
#include <regex>

using namespace confab::bench;
using confab::test::sample_report;

namespace {

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

const std::string hostile = "</title><script>alert(1)</script><b a='\"&\x1b";

bench_report hostile_report() {
  auto x = sample_report();
  x.scenario = x.started = x.command_line = x.error = hostile;
  x.server = {hostile, hostile, hostile};
  x.machine.cpu = x.machine.kernel = hostile;
  x.parameters = {{hostile, hostile, hostile}};
  x.figures[0].name = x.figures[0].unit = x.figures[0].note = hostile;
  x.latencies[0].name = x.series[0].name = x.series[0].unit = hostile;
  x.verdict.result = verdict::outcome::broken;
  x.verdict.first = verdict::offender{hostile, hostile, 7, hostile};
  return x;
}

} // namespace

TEST_CASE("the text says what ran, the figures in fitting units, and the verdict last") {
  auto text = text_of(sample_report());
  CAPTURE(text);
  CHECK(text.starts_with("fanout on confab 0.1.0, 2026-11-20T13:20:22Z\n"));
  CHECK(std::regex_search(text,
                          std::regex{"\n  server CPU per delivery +4\\.91 µs  user and system\n"}));
  CHECK(std::regex_search(text, std::regex{"\n  deliveries +1\\.41 M/s\n"}));
  CHECK(std::regex_search(text,
                          std::regex{"\n  private memory per connection +5\\.79 KiB  server\n"}));
  CHECK(std::regex_search(text,
                          std::regex{"\n  latency +count +min +p50 +p90 +p99 +p99\\.9 +max\n"}));
  CHECK(std::regex_search(text, std::regex{"\n  delivery +200,000 +[0-9.]+ µs "}));
  CHECK(holds(text, "500,000 entries checked: 0 missing, 0 repeated, 0 reordered, 0 foreign."));
  CHECK(text.ends_with("\nKEPT: everything that was checked is as promised.\n"));
}

TEST_CASE("the text of a broken run names the first offender, and that of an incomplete one why") {
  auto x = sample_report();
  x.verdict.result = verdict::outcome::broken;
  x.verdict.entries.missing = 1;
  x.verdict.first =
      verdict::offender{"reader 17", "load/1", 4711, "missing: 4710 should have come"};
  auto text = text_of(x);
  CHECK(
      holds(text, "First offence: client reader 17, conversation load/1, seq 4711: missing: 4710"));
  CHECK(text.ends_with("\nBROKEN: the server did not keep its promises; the figures are void.\n"));
  x.verdict.result = verdict::outcome::not_completed;
  x.error = "the server closed the connection";
  CHECK(text_of(x).ends_with("\nNOT COMPLETED: the server closed the connection.\n"));
  CHECK_FALSE(holds(text_of(x), "KEPT"));
}

TEST_CASE("the JSON has everything under keys that name their unit") {
  auto x = sample_report();
  x.figures.push_back({"deliveries", 2, "/s", "again"});
  x.figures.push_back({"unknown", std::numeric_limits<double>::quiet_NaN(), "ms", ""});
  x.verdict.first = verdict::offender{"reader 17", "load/1", 4711, "repeated"};
  auto json = nlohmann::json::parse(json_of(x));
  CHECK(json["format"] == "confab-bench/1");
  CHECK(json["scenario"] == "fanout");
  CHECK(json["server"]["version"] == "0.1.0");
  CHECK(json["machine"]["load_average"] == 1.25);
  CHECK(json["parameters"]["rate_per_s"]["value"] == "50");
  CHECK(json["figures"]["server_cpu_per_delivery_us"]["value"] == 4.912);
  CHECK(json["figures"]["deliveries_per_s"]["value"] == 1'412'345);
  CHECK(json["figures"]["deliveries_per_s_2"]["note"] == "again");
  CHECK(json["figures"]["unknown_ms"]["value"].is_null());
  const auto& delivery = json["latencies"]["delivery"];
  const auto& values = x.latencies[0].values;
  CHECK(delivery["count"] == values.count());
  CHECK(delivery["percentiles_ns"]["99.9"] == values.percentile(99.9));
  CHECK(delivery["percentiles_ns"]["50"] == values.percentile(50));
  std::uint64_t count = 0;
  for (const auto& bucket : delivery["buckets_ns"])
    count += bucket[2].get<std::uint64_t>();
  CHECK(count == values.count());
  CHECK(json["series"]["deliveries_per_s"]["points_s"].size() == 31);
  CHECK(json["verdict"]["outcome"] == "kept");
  CHECK(json["verdict"]["entries_checked"] == 500'000);
  CHECK(json["verdict"]["first_offence"]["seq"] == 4711);
}

TEST_CASE("hostile names leave the JSON whole") {
  auto json = nlohmann::json::parse(json_of(hostile_report()));
  CHECK(json["scenario"] == hostile.substr(0, hostile.size() - 1) + '?');
  CHECK_FALSE(holds(text_of(hostile_report()), "\x1b"));
}

TEST_CASE("hostile names are text on the page, wherever they stand") {
  auto page = html_of(hostile_report());
  CHECK_FALSE(holds(page, "<script"));
  CHECK_FALSE(holds(page, "<b a="));
  CHECK_FALSE(holds(page, "\x1b"));
  CHECK(
      holds(page, "&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;b a=&#39;&quot;&amp;?"));
}

TEST_CASE(
    "the page has the table's figures, a title, charts with words, and nothing from elsewhere") {
  auto page = html_of(sample_report());
  CHECK(page.starts_with("<!doctype html>"));
  CHECK(holds(page, "<title>fanout on confab 0.1.0</title>"));
  CHECK(holds(page, "<td class=\"number\">4.91 µs</td>"));
  CHECK(holds(page, "KEPT"));
  CHECK(std::regex_search(page, std::regex{"<svg [^>]*role=\"img\" aria-labelledby="}));
  CHECK(holds(page, "Latency by percentile"));
  for (const auto* outside : {"http:", "https:", "src=", "href=", "url(", "<script", "@import"})
    CHECK_FALSE(holds(page, outside));
}

TEST_CASE("a report with nothing in it is still a report in each form") {
  bench_report x;
  x.latencies.push_back({"delivery", {}});
  x.series.push_back({"rate", "/s", {}});
  x.error = "connection refused";
  CHECK(text_of(x).ends_with("NOT COMPLETED: connection refused.\n"));
  CHECK(nlohmann::json::parse(json_of(x))["latencies"]["delivery"]["count"] == 0);
  auto page = html_of(x);
  CHECK(holds(page, "NOT COMPLETED: connection refused."));
  CHECK_FALSE(holds(page, "nan"));
  CHECK_FALSE(holds(page, "inf"));
}

TEST_CASE("the machine is described") {
  auto x = this_machine();
  CHECK(x.cores > 0);
  CHECK(x.kernel.starts_with("Linux"));
}
