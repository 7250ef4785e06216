#include "bench/quantity.hpp"
#include "bench/report.hpp"
#include "net/wire/json_object.hpp"

#include <set>

namespace confab::bench {

namespace {

/// Puts commas between members and elements. Keys are ours or made by `key_of`; texts may be
/// anything.
class json_writer {
public:
  json_writer& open(char bracket) {
    separate();
    out_ += bracket;
    fresh_ = true;
    return *this;
  }
  json_writer& close(char bracket) {
    out_ += bracket;
    fresh_ = false;
    return *this;
  }
  json_writer& key(std::string_view name) {
    separate();
    net::wire::add_string(out_, name);
    out_ += ':';
    fresh_ = true;
    return *this;
  }
  json_writer& text(std::string_view x) {
    separate();
    net::wire::add_string(out_, printable(x));
    return *this;
  }
  json_writer& number(double x) { return raw(json_number(x)); }
  template <class T>
  requires std::is_integral_v<T> json_writer& number(T x) { return raw(std::to_string(x)); }
  json_writer& raw(std::string_view x) {
    separate();
    out_ += x;
    return *this;
  }
  void line() { out_ += '\n'; }
  [[nodiscard]] std::string& result() { return out_; }

private:
  void separate() {
    if (!fresh_)
      out_ += ',';
    fresh_ = false;
  }

  std::string out_;
  bool fresh_ = true;
};

/// Keys that do not repeat within an object: a second one gets `_2`.
class distinct_keys {
public:
  std::string of(std::string_view name, std::string_view unit = {}) {
    auto wanted = key_of(name, unit);
    auto key = wanted;
    for (int n = 2; !used_.insert(key).second; ++n)
      key = wanted + '_' + std::to_string(n);
    return key;
  }

private:
  std::set<std::string> used_;
};

void add_about(json_writer& out, const bench_report& x) {
  out.key("server").open('{').key("name").text(x.server.name);
  out.key("version").text(x.server.version).key("guarantees").text(x.server.guarantees).close('}');
  out.key("command_line").text(x.command_line);
  out.key("machine").open('{').key("cores").number(x.machine.cores);
  out.key("cpu").text(x.machine.cpu).key("kernel").text(x.machine.kernel);
  out.key("load_average").number(x.machine.load_average).close('}');
  distinct_keys keys;
  out.key("parameters").open('{');
  for (const auto& p : x.parameters) {
    out.key(keys.of(p.name, p.unit)).open('{').key("name").text(p.name);
    out.key("value").text(p.value).key("unit").text(p.unit).close('}');
  }
  out.close('}');
}

void add_figures(json_writer& out, const std::vector<figure>& all) {
  distinct_keys keys;
  out.key("figures").open('{');
  for (const auto& f : all) {
    out.line();
    out.key(keys.of(f.name, f.unit)).open('{').key("name").text(f.name);
    out.key("value").number(f.value).key("unit").text(f.unit);
    out.key("note").text(f.note).close('}');
  }
  out.close('}');
}

void add_latencies(json_writer& out, const std::vector<latency>& all) {
  distinct_keys keys;
  out.key("latencies").open('{');
  for (const auto& x : all) {
    const auto& v = x.values;
    out.line();
    out.key(keys.of(x.name)).open('{').key("name").text(x.name);
    out.key("count").number(v.count()).key("min_ns").number(v.min());
    out.key("mean_ns").number(v.mean()).key("max_ns").number(v.max());
    out.key("percentiles_ns").open('{');
    for (double p : {50.0, 75.0, 90.0, 99.0, 99.9, 99.99, 100.0})
      out.key(json_number(p)).number(v.percentile(p));
    // [from, through, count]; ends inclusive.
    out.close('}').key("buckets_ns").open('[');
    v.each([&](const model::histogram::bucket& b) {
      out.open('[').number(b.from).number(b.through).number(b.count).close(']');
    });
    out.close(']').close('}');
  }
  out.close('}');
}

void add_series(json_writer& out, const std::vector<series>& all) {
  distinct_keys keys;
  out.key("series").open('{');
  for (const auto& x : all) {
    out.line();
    out.key(keys.of(x.name, x.unit)).open('{').key("name").text(x.name);
    out.key("unit").text(x.unit).key("points_s").open('[');
    for (const auto& [at, value] : x.points)
      out.open('[').number(at).number(value).close(']');
    out.close(']').close('}');
  }
  out.close('}');
}

void add_verdict(json_writer& out, const verdict& x) {
  out.key("verdict").open('{').key("outcome").text(to_string(x.result));
  out.key("entries_checked").number(x.entries.entries).key("missing").number(x.entries.missing);
  out.key("repeated").number(x.entries.repeated).key("reordered").number(x.entries.reordered);
  out.key("foreign").number(x.entries.foreign);
  out.key("announced_missing").number(x.entries.announced);
  out.key("receipts").number(x.receipts);
  out.key("receipts_missing_in_log").number(x.receipts_missing_in_log);
  out.key("readers_compared_with_log").number(x.readers_compared_with_log);
  out.key("readers_different_from_log").number(x.readers_different_from_log);
  out.key("first_offence");
  if (x.first) {
    out.open('{').key("client").text(x.first->client);
    out.key("conversation").text(x.first->conversation).key("seq").number(x.first->seq);
    out.key("what").text(x.first->what).close('}');
  } else {
    out.raw("null");
  }
  out.close('}');
}

} // namespace

std::string json_of(const bench_report& x) {
  json_writer out;
  out.open('{').key("format").text("confab-bench/1").key("scenario").text(x.scenario);
  out.key("started").text(x.started);
  add_about(out, x);
  out.line();
  add_verdict(out, x.verdict);
  out.key("error").text(x.error);
  out.line();
  add_figures(out, x.figures);
  out.line();
  add_latencies(out, x.latencies);
  out.line();
  add_series(out, x.series);
  out.close('}').line();
  return std::move(out.result());
}

} // namespace confab::bench
