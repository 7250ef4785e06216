#include "bench/bench_run.hpp"

#include "bench/audit.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cstdio>

namespace confab::bench {

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
/// Before the measured window.
constexpr double warm_up_s = 1;
/// Numbers of one conversation that may be under way with payloads too small for their times.
constexpr std::size_t times_slots = 4096;

actors::load_run::settings settings_of(const bench_options& how,
                                       std::function<std::string()> on_tick) {
  return {.threads = how.threads,
          .patience_s = how.patience_s,
          .deadline_s = how.deadline_s,
          .on_tick = std::move(on_tick)};
}

/// Beside the clients' sockets.
constexpr std::uint64_t other_files = 64;

std::uint64_t files_max() {
  rlimit x{};
  return ::getrlimit(RLIMIT_NOFILE, &x) == 0 ? x.rlim_cur : RLIM_INFINITY;
}

double per_second(std::uint64_t before, std::uint64_t after, double seconds) {
  return seconds > 0 ? static_cast<double>(after - before) / seconds : 0;
}

double ms(std::int64_t ns) {
  return static_cast<double>(ns) / 1e6;
}

} // namespace

bench_run::bench_run(const net::load::server_kind& kind, const std::vector<net::load::endpoint>& to,
                     const bench_options& how, std::map<std::string, double, std::less<>> values)
  : how_{how}, values_{std::move(values)}, board_{kind, to.front()},
    load_{board_, settings_of(how, [this] { return tick(); })}, begun_ns_{net::load::now_ns()},
    sampled_ns_{begun_ns_} {
  board_.others.assign(to.begin() + 1, to.end());
  report_.series = {{"entries received", "/s", {}},
                    {"receipts", "/s", {}},
                    {"latency p50", "ms", {}},
                    {"latency p99", "ms", {}}};
  if (has_pids()) {
    report_.series.push_back({"server CPU", "%", {}});
    report_.series.push_back({"server private memory", "KiB", {}});
    sampled_usage_ = usage_of(how_.pids, false);
  }
}

double bench_run::number(std::string_view name) const {
  auto found = values_.find(name);
  assert(found != values_.end());
  return found->second;
}

std::uint32_t bench_run::count(std::string_view name) const {
  return static_cast<std::uint32_t>(number(name));
}

void bench_run::add_conversations(std::uint32_t n) {
  for (std::uint32_t i = 0; i < n; ++i)
    board_.conversations.emplace_back(how_.prefix + '/' +
                                      std::to_string(board_.conversations.size()));
}

void bench_run::set_payload(std::size_t bytes, bool readers) {
  payload_bytes_ = bytes;
  if (readers && bytes < model::stamp_bytes_min)
    board_.times =
        std::make_unique<model::send_times>(board_.conversations.size(), times_slots, begun_ns_);
}

bench_run::group bench_run::add_readers(const readers_of& x) {
  std::vector<net::load::socket_settings> all;
  for (std::size_t i = 0; i < x.count; ++i) {
    net::load::socket_settings one;
    one.conversation = x.first + static_cast<std::uint32_t>(i % x.conversations);
    one.timed = x.timed;
    one.receive_bytes = x.receive_bytes;
    one.what.as = net::load::purpose::role::reader;
    one.what.conversation = board_.conversations[one.conversation].name;
    one.what.client = x.name + ' ' + std::to_string(i + 1);
    if (x.from_start)
      one.what.after = net::load::place{};
    all.push_back(std::move(one));
  }
  return add(x.name, std::move(all));
}

bench_run::group bench_run::add_publishers(std::size_t n, std::uint32_t conversations) {
  std::vector<net::load::socket_settings> all;
  for (std::size_t i = 0; i < n; ++i) {
    net::load::socket_settings one;
    // Even shares of consecutive conversations; with more publishers than conversations, one each
    // in turn.
    auto begin = n <= conversations ? i * conversations / n : i % conversations;
    auto end = n <= conversations ? (i + 1) * conversations / n : begin + 1;
    one.conversation = static_cast<std::uint32_t>(begin);
    one.conversations = static_cast<std::uint32_t>(end - begin);
    one.publisher = ++publishers_;
    one.payload_bytes = payload_bytes_;
    one.what.as = net::load::purpose::role::publisher;
    one.what.conversation = board_.conversations[begin].name;
    // Unique beyond this run too: the log remembers producers.
    one.what.client = "publisher-" + std::to_string(one.publisher) + '-' +
                      std::to_string(::getpid()) + '-' + std::to_string(begun_ns_);
    all.push_back(std::move(one));
  }
  return add("publisher", std::move(all));
}

bench_run::group bench_run::add(std::string name, std::vector<net::load::socket_settings> clients) {
  clients_ += clients.size();
  if (clients_ + other_files > files_max())
    throw actors::run_ended{std::to_string(clients_) + " clients need " +
                            std::to_string(clients_ + other_files) +
                            " open files, and the hard limit of this process is " +
                            std::to_string(files_max()) + " (ulimit -Hn)"};
  return load_.add(std::move(name), std::move(clients));
}

void bench_run::connect(group x, std::uint32_t at_once) {
  load_.open(x, at_once);
  load_.until_live(x);
}

void bench_run::publish_at(group x, double per_s, std::uint32_t burst, std::uint32_t flight) {
  load_.publish(x, {.per_s = per_s,
                    .burst = burst,
                    .flight = flight,
                    .begin_ns = net::load::now_ns(),
                    .entries = 0});
}

void bench_run::publish_some(group x, std::uint64_t entries, std::uint32_t flight) {
  load_.publish(x, {.per_s = 0,
                    .burst = 1,
                    .flight = flight,
                    .begin_ns = net::load::now_ns(),
                    .entries = entries});
  load_.until_finished(x);
}

measured_span bench_run::begin() {
  measured_span x;
  x.usage_before = usage_of(how_.pids);
  x.own_cpu_ns = own_cpu_ns();
  x.before = load_.totals();
  return x;
}

void bench_run::end(measured_span& x) {
  x.after = load_.totals();
  x.own_cpu_ns = own_cpu_ns() - x.own_cpu_ns;
  x.usage_after = usage_of(how_.pids);
}

measured_span bench_run::measure() {
  load_.hold(warm_up_s);
  load_.open_window();
  auto x = begin();
  load_.hold(number("seconds"));
  end(x);
  load_.close_window();
  return x;
}

void bench_run::settle(group publishers) {
  load_.finish(publishers, net::load::now_ns());
  load_.until_finished(publishers);
  await_all();
}

void bench_run::await_all() {
  load_.set_goals();
  load_.until_reached();
}

void bench_run::figure(std::string name, double value, std::string unit, std::string note) {
  report_.figures.push_back({std::move(name), value, std::move(unit), std::move(note)});
}

void bench_run::cost(const measured_span& x, double units, const std::string& unit) {
  figure(unit + " rate", units / x.seconds(), "/s");
  if (has_pids()) {
    figure("server CPU per " + unit, units > 0 ? x.cpu_us() / units : 0, "µs",
           "user and system, all processes");
    figure(unit + " rate per CPU", x.cpu_us() > 0 ? units / (x.cpu_us() / 1e6) : 0, "/s",
           "for each second of server CPU");
    figure("server CPU", 100 * x.cpu_us() / 1e6 / x.seconds(), "%", "of one core");
  }
  figure("load CPU", 100 * static_cast<double>(x.own_cpu_ns) / 1e9 / x.seconds(), "%",
         "of one core, this program");
}

void bench_run::memory(const measured_span& x, double connections) {
  if (!has_pids())
    return;
  figure("server private memory", static_cast<double>(x.usage_after.private_kib), "KiB");
  if (connections > 0)
    figure("private memory per connection",
           static_cast<double>(x.usage_after.private_kib - x.usage_before.private_kib) /
               connections,
           "KiB", "growth over the span, divided by the connections");
}

void bench_run::take_latencies(const std::string& suffix) {
  auto x = load_.take_latencies();
  if (x.deliveries.count() > 0)
    report_.latencies.push_back({"delivery" + suffix, std::move(x.deliveries)});
  if (x.receipts.count() > 0)
    report_.latencies.push_back({"receipt" + suffix, std::move(x.receipts)});
}

std::string bench_run::tick() {
  auto now = net::load::now_ns();
  if (each_tick)
    if (auto why = each_tick(); !why.empty())
      return why;
  if (now - sampled_ns_ < second_ns)
    return {};
  sample(now);
  // Soak starts the server anew, under another number.
  if (has_pids() && sampled_usage_.processes == 0 && how_.kill_pid == 0)
    return "the server (pid " + std::to_string(how_.pids.front()) + ") has ended";
  return {};
}

void bench_run::sample(std::int64_t now) {
  auto seconds = static_cast<double>(now - sampled_ns_) / 1e9;
  auto at = static_cast<double>(now - begun_ns_) / 1e9;
  auto x = load_.totals();
  auto lately = load_.take_lately();
  auto entries_s = per_second(sampled_.entries, x.entries, seconds);
  auto receipts_s = per_second(sampled_.receipts, x.receipts, seconds);
  std::vector<double> values{entries_s, receipts_s, ms(lately.percentile(50)),
                             ms(lately.percentile(99))};
  if (has_pids()) {
    auto usage = usage_of(how_.pids);
    values.push_back(100 * static_cast<double>(usage.cpu_ns - sampled_usage_.cpu_ns) / 1e9 /
                     seconds);
    values.push_back(static_cast<double>(usage.private_kib));
    sampled_usage_ = usage;
  }
  for (std::size_t i = 0; i < values.size(); ++i)
    report_.series[i].points.emplace_back(at, values[i]);
  if (how_.progress)
    show(x, entries_s, receipts_s, lately);
  sampled_ = x;
  sampled_ns_ = now;
}

void bench_run::show(const actors::load_totals& x, double entries_s, double receipts_s,
                     const model::histogram& lately) {
  auto crowd = load_.crowd();
  std::fprintf(stderr,
               "%6.1f s  connections %u/%u  entries/s %.0f  receipts/s %.0f  p50 %.2f ms  "
               "p99 %.2f ms  lost %llu  refused %llu  errors %llu\n",
               static_cast<double>(net::load::now_ns() - begun_ns_) / 1e9, crowd.live,
               crowd.clients, entries_s, receipts_s, ms(lately.percentile(50)),
               ms(lately.percentile(99)), static_cast<unsigned long long>(x.lost),
               static_cast<unsigned long long>(x.refused),
               static_cast<unsigned long long>(x.offences));
}

void bench_run::judge() {
  auto totals = load_.totals();
  figure("entries received", static_cast<double>(totals.entries), "entries", "in the whole run");
  if (totals.lost > 0)
    figure("connections lost", static_cast<double>(totals.lost), "connections",
           "ended by the server or the network, and made again");
  if (totals.retried > 0) {
    figure("publishes retried", static_cast<double>(totals.retried), "publishes");
    figure("receipts of duplicates", static_cast<double>(totals.duplicates), "receipts",
           "retries of what was in the log already");
  }
  load_.stop();
  auto readers = load_.all_readers();
  auto publishers = load_.all_publishers();
  report_.error =
      audit(board_, readers, publishers, how_.patience_s, how_.log_entries_max, report_.verdict);
}

} // namespace confab::bench
