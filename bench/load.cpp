// confab_load: many clients of one server in one process, which check every entry while they
// measure.
#include "connection.hpp"

#include <sys/resource.h>

#include <functional>

namespace confab::bench {

namespace {

constexpr char usage_text[] = R"(confab_load SCENARIO --port=N [--pid=N] [--json] [options]

  fill     appends --entries (over HTTP, 1,000 a request) of --bytes to --conversation
  fanout   --readers of one conversation, --rate entries/s of --bytes in bursts of --burst
           (--together: a packet each), for --seconds
  idle     --connections, each following one of --conversations; then --seconds of nothing
  publish  --connections publishers with --flight publishes in flight each, for --seconds
  lag      --readers live at --rate; after --seconds one more reader starts at the beginning of --conversation (see fill)
  stall    --readers at --rate; --stalled of them read nothing for --pause seconds, then again
  storm    --readers drop, --entries are published, all resume at once

--pid: the server, whose CPU time and memory are measured. --limit: the server is confab_limit.
An entry that is lost, repeated, reordered or of another conversation ends the run with status 1.
)";

/// Longest wait for everything that must arrive at the end of a run.
constexpr std::int64_t drain_ns = 180 * second_ns;
/// Handshakes in progress at a time, where a scenario is not about them.
constexpr std::size_t connecting_max = 256;

double seconds(std::int64_t ns) {
  return static_cast<double>(ns) / 1e9;
}

std::int64_t own_cpu_ns() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return std::int64_t{t.tv_sec} * second_ns + t.tv_nsec;
}

/// One run: a server, its clients, and the options that all scenarios share.
class run {
public:
  explicit run(options& from)
    : port{static_cast<std::uint16_t>(from.number("port", 0, 1, 65535))},
      pid{static_cast<int>(from.number("pid", 0, 0, 1 << 30))},
      limit{from.number("limit", 0, 0, 1) == 1}, json{from.number("json", 0, 0, 1) == 1} {
    of.conversation = from.text("conversation", "load/" + std::to_string(now_ns()));
  }

  void turn_until(std::int64_t at_ns) {
    do
      loop.turn(at_ns);
    while (now_ns() < at_ns);
  }

  /// Turns until `done`, at most until `deadline_ns`. @returns whether it was done.
  bool turn_while(const std::function<bool()>& pending, std::int64_t deadline_ns) {
    while (pending()) {
      if (now_ns() > deadline_ns)
        return false;
      loop.turn(std::min(deadline_ns, now_ns() + second_ns / 10));
    }
    return true;
  }

  /// `n` readers that follow `after` and are live.
  void add_readers(std::size_t n, const std::string& after, int receive_bytes = 0) {
    auto begin = readers.size();
    for (std::size_t i = 0; i < n; ++i) {
      // A sampled reader looks into each entry, which costs the client more than the rest: one of
      // 16 does.
      readers.push_back(std::make_unique<reader>(loop, port, of, all_sampled || i % 16 == 0));
      readers.back()->follow(after, receive_bytes);
      await_live(begin, readers.size() - std::min(readers.size(), connecting_max));
    }
    await_live(begin, readers.size());
  }

  void await_live(std::size_t from, std::size_t to) {
    auto& seen = live_through;
    seen = std::max(seen, from);
    if (!turn_while(
            [&] {
              while (seen < to && readers[seen]->live())
                ++seen;
              return seen < to;
            },
            now_ns() + drain_ns))
      fail(readers[seen]->name() + ": is not live");
  }

  publisher& add_publisher(std::size_t bytes) {
    of.payload_bytes = bytes;
    source = std::make_unique<publisher>(loop, port, of.conversation, bytes);
    source->connect(limit ? "/v1/ws?conversation=" + of.conversation : "/v1/ws");
    if (!limit && !turn_while([&] { return !source->greeted(); }, now_ns() + drain_ns))
      fail("the publisher got no hello");
    return *source;
  }

  /// Publishes at `rate` in bursts until `until_ns`. @returns the publishes that a full window put
  /// off.
  std::uint64_t publish_at(
      double rate, std::uint64_t burst, std::int64_t until_ns,
      const std::function<void()>& meanwhile = [] {}) {
    auto begin = now_ns();
    auto gap = static_cast<std::int64_t>(1e9 * static_cast<double>(burst) / rate);
    std::uint64_t bursts = 0, put_off = 0;
    for (auto now = begin; now < until_ns; now = now_ns()) {
      auto due = begin + static_cast<std::int64_t>(bursts) * gap;
      if (now >= due && source->in_flight() + burst <= publisher::in_flight_max) {
        for (std::uint64_t i = 0; i < burst; ++i)
          source->publish(together && i + 1 < burst);
        ++bursts;
        continue;
      }
      put_off += now >= due ? 1 : 0;
      loop.turn(std::min(until_ns, now >= due ? now + second_ns / 1000 : due));
      meanwhile();
    }
    return put_off;
  }

  void publish_now(std::uint64_t entries) {
    for (std::uint64_t i = 0; i < entries;) {
      for (; i < entries && source->in_flight() < publisher::in_flight_max; ++i)
        source->publish();
      loop.turn(now_ns() + second_ns / 10);
    }
    await_receipts();
  }

  void await_receipts() {
    if (!turn_while([&] { return source->in_flight() > 0; }, now_ns() + drain_ns))
      fail(source->name() + ": " + std::to_string(source->in_flight()) + " receipts are missing");
  }

  /// Every reader has everything through `seq`.
  void await_all(std::uint64_t seq) {
    std::size_t i = 0;
    if (!turn_while(
            [&] {
              while (i < readers.size() && readers[i]->at() == seq && readers[i]->live())
                ++i;
              return i < readers.size();
            },
            now_ns() + drain_ns))
      fail(readers[i]->name() + ": entries through " + std::to_string(seq) + " are missing");
  }

  void note_memory() {
    if (pid == 0 || now_ns() < next_memory_ns)
      return;
    next_memory_ns = now_ns() + second_ns / 5;
    auto x = usage_of(pid);
    private_kib_max = std::max(private_kib_max, x.private_kib);
    rss_anon_kib_max = std::max(rss_anon_kib_max, x.rss_anon_kib);
  }

  void add_memory(report& to, const usage& before, const usage& after) {
    to.figure("private_before_kib", static_cast<double>(before.private_kib));
    if (private_kib_max > 0) {
      to.figure("private_max_kib", static_cast<double>(private_kib_max));
      to.figure("private_growth_mib",
                static_cast<double>(private_kib_max - before.private_kib) / 1024);
      to.figure("rss_anon_growth_mib",
                static_cast<double>(rss_anon_kib_max - before.rss_anon_kib) / 1024);
    }
    to.figure("private_after_kib", static_cast<double>(after.private_kib));
    to.figure("rss_anon_before_kib", static_cast<double>(before.rss_anon_kib));
    to.figure("rss_anon_after_kib", static_cast<double>(after.rss_anon_kib));
  }

  const std::uint16_t port;
  const int pid;
  const bool limit;
  const bool json;
  event_loop loop;
  reading of;
  /// A burst leaves in one packet.
  bool together = false;
  bool all_sampled = false;
  std::vector<std::unique_ptr<reader>> readers;
  std::unique_ptr<publisher> source;
  std::size_t live_through = 0;
  std::int64_t next_memory_ns = 0;
  std::int64_t private_kib_max = 0;
  std::int64_t rss_anon_kib_max = 0;
};

void add_delivery_cost(report& to, const run& x, const usage& before, const usage& after,
                       double wall, double client_cpu) {
  auto cpu = static_cast<double>(after.cpu_ns - before.cpu_ns);
  auto n = static_cast<double>(x.of.delivered);
  to.figure("deliveries", n);
  to.figure("deliveries_per_s", n / wall);
  to.figure("frame_bytes", static_cast<double>(x.of.bytes) / std::max(n, 1.0));
  to.figure("cpu_us_per_delivery", cpu / 1000 / std::max(n, 1.0));
  to.figure("deliveries_per_cpu_s", cpu > 0 ? n / (cpu / 1e9) : 0);
  to.figure("server_cpus", cpu / 1e9 / wall);
  to.figure("server_user_ticks", static_cast<double>(after.user_ticks - before.user_ticks));
  to.figure("server_system_ticks", static_cast<double>(after.system_ticks - before.system_ticks));
  to.figure("client_cpus", client_cpu / 1e9 / wall);
}

void fanout(run& x, options& from) {
  auto readers = static_cast<std::size_t>(from.number("readers", 1000, 1, 19'900));
  auto rate = from.number("rate", 50, 1, 1'000'000);
  auto bytes = static_cast<std::size_t>(from.number("bytes", 200, payload_bytes_min, 200'000));
  auto burst = static_cast<std::uint64_t>(from.number("burst", 1, 1, 64));
  auto time = from.number("seconds", 10, 1, 600);
  x.together = from.number("together", 0, 0, 1) == 1;
  from.check();

  distribution age;
  x.of.age = &age;
  x.add_readers(readers, "now");
  auto& source = x.add_publisher(bytes);
  x.turn_until(now_ns() + second_ns / 2);
  auto before = usage_of(x.pid);
  auto own = own_cpu_ns();
  auto begin = now_ns();
  auto entries = static_cast<std::uint64_t>(rate * time) / burst * burst;
  std::uint64_t put_off = 0;
  if (x.limit) {
    source.send(R"({"op":"emit","rate":)" + std::to_string(rate) + R"(,"burst":)" +
                std::to_string(burst) + R"(,"entries":)" + std::to_string(entries) +
                R"(,"bytes":)" + std::to_string(bytes) + "}");
    x.turn_until(begin + time * second_ns);
    x.await_all(entries);
  } else {
    put_off = x.publish_at(static_cast<double>(rate), burst, begin + time * second_ns);
    x.await_receipts();
    x.await_all(source.last());
  }
  auto wall = seconds(now_ns() - begin);
  auto after = usage_of(x.pid);

  report to{"fanout"};
  to.figure("readers", static_cast<double>(readers));
  to.figure("rate", static_cast<double>(rate));
  to.figure("burst", static_cast<double>(burst));
  to.figure("payload_bytes", static_cast<double>(bytes));
  to.figure("entries", static_cast<double>(x.readers[0]->at()));
  to.figure("offered", static_cast<double>(entries));
  to.figure("wall_s", wall);
  add_delivery_cost(to, x, before, after, wall, static_cast<double>(own_cpu_ns() - own));
  to.latency("age", age);
  if (!x.limit) {
    to.latency("receipt", source.latency);
    to.figure("put_off", static_cast<double>(put_off));
  }
  x.add_memory(to, before, after);
  to.print(x.json);
}

void idle(run& x, options& from) {
  auto connections = static_cast<std::size_t>(from.number("connections", 10'000, 1, 19'900));
  auto conversations = static_cast<std::size_t>(from.number("conversations", 1000, 1, 100'000));
  auto time = from.number("seconds", 5, 1, 600);
  from.check();

  std::vector<std::unique_ptr<reading>> of;
  for (std::size_t i = 0; i < conversations; ++i) {
    of.push_back(std::make_unique<reading>());
    of.back()->conversation = x.of.conversation + "-" + std::to_string(i);
  }
  // One connection comes and goes first: what only the first one costs is not counted.
  x.add_readers(1, "now");
  x.readers.clear();
  x.live_through = 0;
  x.turn_until(now_ns() + second_ns);
  auto before = usage_of(x.pid);
  auto begin = now_ns();
  for (std::size_t i = 0; i < connections; ++i) {
    x.readers.push_back(std::make_unique<reader>(x.loop, x.port, *of[i % conversations], false));
    x.readers.back()->follow("now");
    x.await_live(0, x.readers.size() - std::min(x.readers.size(), connecting_max));
  }
  x.await_live(0, x.readers.size());
  auto connected = usage_of(x.pid);
  auto connect_s = seconds(now_ns() - begin);
  x.turn_until(now_ns() + 2 * second_ns);
  auto settled = usage_of(x.pid);
  begin = now_ns();
  x.turn_until(begin + time * second_ns);
  auto after = usage_of(x.pid);

  auto n = static_cast<double>(connections);
  report to{"idle"};
  to.figure("connections", n);
  to.figure("conversations", static_cast<double>(conversations));
  to.figure("connects_per_s", n / connect_s);
  to.figure("cpu_us_per_connect", static_cast<double>(connected.cpu_ns - before.cpu_ns) / 1000 / n);
  to.figure("private_kib_per_connection",
            static_cast<double>(after.private_kib - before.private_kib) / n);
  to.figure("rss_anon_kib_per_connection",
            static_cast<double>(after.rss_anon_kib - before.rss_anon_kib) / n);
  to.figure("idle_cpu_percent", 100 * static_cast<double>(after.cpu_ns - settled.cpu_ns) /
                                    static_cast<double>(now_ns() - begin));
  x.add_memory(to, before, after);
  to.print(x.json);
}

void publish(run& x, options& from) {
  auto flight = static_cast<std::uint64_t>(from.number("flight", 64, 1, 64));
  auto connections = static_cast<std::size_t>(from.number("connections", 1, 1, 10'000));
  auto bytes = static_cast<std::size_t>(from.number("bytes", 200, payload_bytes_min, 200'000));
  auto time = from.number("seconds", 5, 1, 600);
  from.check();

  std::vector<std::unique_ptr<publisher>> all;
  for (std::size_t i = 0; i < connections; ++i) {
    all.push_back(
        std::make_unique<publisher>(x.loop, x.port, x.of.conversation, bytes, static_cast<int>(i)));
    all.back()->shared = connections > 1;
    all.back()->connect("/v1/ws");
    if (!x.turn_while([&] { return !all.back()->greeted(); }, now_ns() + drain_ns))
      fail(all.back()->name() + ": got no hello");
  }
  auto before = usage_of(x.pid);
  auto own = own_cpu_ns();
  auto begin = now_ns();
  auto end = begin + time * second_ns;
  for (auto now = begin; now < end; now = now_ns()) {
    for (auto& y : all)
      while (y->in_flight() < flight)
        y->publish();
    x.loop.turn(end);
  }
  auto in_flight = [&] {
    for (auto& y : all)
      if (y->in_flight() > 0)
        return true;
    return false;
  };
  if (!x.turn_while(in_flight, now_ns() + drain_ns))
    fail("receipts are missing");
  auto wall = seconds(now_ns() - begin);
  auto after = usage_of(x.pid);
  std::uint64_t receipts = 0;
  for (auto& y : all)
    receipts += y->answered();

  auto n = static_cast<double>(receipts);
  report to{"publish"};
  to.figure("connections", static_cast<double>(connections));
  to.figure("flight", static_cast<double>(flight));
  to.figure("payload_bytes", static_cast<double>(bytes));
  to.figure("receipts", n);
  to.figure("receipts_per_s", n / wall);
  to.figure("cpu_us_per_receipt", static_cast<double>(after.cpu_ns - before.cpu_ns) / 1000 / n);
  to.figure("server_cpus", static_cast<double>(after.cpu_ns - before.cpu_ns) / 1e9 / wall);
  to.figure("client_cpus", static_cast<double>(own_cpu_ns() - own) / 1e9 / wall);
  to.latency("receipt", all[0]->latency);
  x.add_memory(to, before, after);
  to.print(x.json);
}

void lag(run& x, options& from) {
  auto readers = static_cast<std::size_t>(from.number("readers", 100, 1, 19'000));
  auto rate = from.number("rate", 50, 1, 1'000'000);
  auto bytes = static_cast<std::size_t>(from.number("bytes", 200, payload_bytes_min, 200'000));
  auto time = from.number("seconds", 10, 1, 600);
  from.check();

  distribution age_before, age_during, age_after;
  x.add_readers(readers, "now");
  auto& source = x.add_publisher(bytes);
  x.turn_until(now_ns() + second_ns / 2);
  x.of.age = &age_before;
  x.publish_at(static_cast<double>(rate), 1, now_ns() + time * second_ns);

  auto before = usage_of(x.pid);
  reading behind{.conversation = x.of.conversation};
  reader late{x.loop, x.port, behind, false};
  auto begin = now_ns();
  auto first = before.cpu_ns;
  x.of.age = &age_during;
  late.follow("start");
  // It has caught up when it is told so: then it has come to the tail once.
  while (!late.live()) {
    if (now_ns() - begin > drain_ns)
      fail(late.name() + ": did not catch up");
    x.publish_at(static_cast<double>(rate), 1, now_ns() + second_ns / 10, [&] { x.note_memory(); });
  }
  auto wall = seconds(now_ns() - begin);
  auto caught_up = static_cast<double>(behind.delivered);
  auto cpu = static_cast<double>(cpu_ns_of(x.pid) - first);
  x.of.age = &age_after;
  x.publish_at(static_cast<double>(rate), 1, now_ns() + 3 * second_ns, [&] { x.note_memory(); });
  x.await_receipts();
  x.await_all(source.last());
  if (!x.turn_while([&] { return late.at() < source.last(); }, now_ns() + drain_ns))
    fail(late.name() + ": the newest entries are missing");
  auto after = usage_of(x.pid);

  report to{"lag"};
  to.figure("readers", static_cast<double>(readers));
  to.figure("rate", static_cast<double>(rate));
  to.figure("payload_bytes", static_cast<double>(bytes));
  to.figure("caught_up_entries", caught_up);
  to.figure("caught_up_s", wall);
  to.figure("caught_up_entries_per_s", caught_up / wall);
  to.figure("caught_up_mb_per_s", static_cast<double>(behind.bytes) / wall / 1e6);
  to.figure("cpu_us_per_caught_up_entry", cpu / 1000 / caught_up);
  to.latency("age_before", age_before);
  to.latency("age_during", age_during);
  to.latency("age_after", age_after);
  x.add_memory(to, before, after);
  to.print(x.json);
}

void stall(run& x, options& from) {
  auto readers = static_cast<std::size_t>(from.number("readers", 1000, 2, 19'000));
  auto stalled = static_cast<std::size_t>(from.number("stalled", 200, 1, 18'000));
  auto rate = from.number("rate", 500, 1, 1'000'000);
  auto bytes = static_cast<std::size_t>(from.number("bytes", 1024, payload_bytes_min, 200'000));
  auto burst = static_cast<std::uint64_t>(from.number("burst", 5, 1, 64));
  auto time = from.number("seconds", 5, 1, 600);
  auto pause = from.number("pause", 60, 1, 600);
  from.check();
  if (stalled >= readers)
    fail("--stalled must be below --readers");

  distribution age_before, age_during, age_after;
  // The kernel would take megabytes for each of those that stop; a phone's would not.
  reading slow{.conversation = x.of.conversation, .payload_bytes = bytes};
  x.add_readers(readers - stalled, "now");
  std::vector<std::unique_ptr<reader>> slow_ones;
  for (std::size_t i = 0; i < stalled; ++i) {
    slow_ones.push_back(std::make_unique<reader>(x.loop, x.port, slow, true));
    slow_ones.back()->follow("now", 64 * 1024);
  }
  auto all_slow = [&](auto claim) {
    return std::all_of(slow_ones.begin(), slow_ones.end(), [&](auto& y) { return claim(*y); });
  };
  if (!x.turn_while([&] { return !all_slow([](reader& y) { return y.live(); }); },
                    now_ns() + drain_ns))
    fail("the readers that are to stop are not live");
  auto& source = x.add_publisher(bytes);
  auto per_s = static_cast<double>(rate);
  x.of.age = &age_before;
  x.publish_at(per_s, burst, now_ns() + time * second_ns);

  for (auto& y : slow_ones)
    y->read_on(false);
  auto before = usage_of(x.pid);
  auto own = own_cpu_ns();
  auto begin = now_ns();
  x.of.age = &age_during;
  auto put_off =
      x.publish_at(per_s, burst, begin + pause * second_ns / 2, [&] { x.note_memory(); });
  auto half = usage_of(x.pid);
  put_off += x.publish_at(per_s, burst, begin + pause * second_ns, [&] { x.note_memory(); });
  auto paused = usage_of(x.pid);
  auto paused_wall = seconds(now_ns() - begin);
  auto client_cpus = static_cast<double>(own_cpu_ns() - own) / 1e9 / paused_wall;
  std::uint64_t behind_by = source.last() - slow_ones.back()->at();

  for (auto& y : slow_ones)
    y->read_on(true);
  auto delivered = slow.delivered;
  begin = now_ns();
  x.of.age = &age_after;
  // The others go on meanwhile, for as long again at most.
  auto caught_up = [&] {
    return all_slow([&](reader& y) { return y.at() + 200 >= source.last(); });
  };
  while (!caught_up() && now_ns() - begin < pause * second_ns)
    x.publish_at(per_s, burst, now_ns() + second_ns / 5, [&] { x.note_memory(); });
  x.await_receipts();
  x.await_all(source.last());
  if (!x.turn_while([&] { return !all_slow([&](reader& y) { return y.at() == source.last(); }); },
                    now_ns() + drain_ns))
    fail("a reader that had stopped did not get everything");
  auto wall = seconds(now_ns() - begin);
  auto after = usage_of(x.pid);

  report to{"stall"};
  to.figure("readers", static_cast<double>(readers));
  to.figure("stalled", static_cast<double>(stalled));
  to.figure("rate", per_s);
  to.figure("payload_bytes", static_cast<double>(bytes));
  to.figure("entries", static_cast<double>(source.last()));
  to.figure("put_off", static_cast<double>(put_off));
  to.figure("behind_by_entries", static_cast<double>(behind_by));
  to.figure("caught_up_s", wall);
  to.figure("caught_up_entries_per_s", static_cast<double>(slow.delivered - delivered) / wall);
  to.figure("server_cpus_while_stalled",
            static_cast<double>(paused.cpu_ns - before.cpu_ns) / 1e9 / paused_wall);
  to.figure("client_cpus_while_stalled", client_cpus);
  to.latency("age_before", age_before);
  to.latency("age_during", age_during);
  to.latency("age_catching_up", age_after);
  to.figure("private_half_paused_kib", static_cast<double>(half.private_kib));
  to.figure("private_paused_kib", static_cast<double>(paused.private_kib));
  x.add_memory(to, before, after);
  to.print(x.json);
}

void storm(run& x, options& from) {
  auto readers = static_cast<std::size_t>(from.number("readers", 1000, 1, 19'900));
  auto entries = static_cast<std::uint64_t>(from.number("entries", 1000, 0, 1'000'000));
  auto bytes = static_cast<std::size_t>(from.number("bytes", 200, payload_bytes_min, 200'000));
  from.check();

  x.all_sampled = true; // all keep their position's id
  auto& source = x.add_publisher(bytes);
  x.publish_now(10);
  x.add_readers(readers, "0");
  x.await_all(source.last());
  for (auto& y : x.readers)
    y->drop();
  x.turn_until(now_ns() + second_ns);
  x.publish_now(entries);
  x.turn_until(now_ns() + second_ns / 2);
  auto before = usage_of(x.pid);
  x.of.delivered = x.of.bytes = 0;
  x.of.payload_bytes = 0;
  auto own = own_cpu_ns();
  auto begin = now_ns();
  for (auto& y : x.readers)
    y->resume();
  auto connecting = seconds(now_ns() - begin);
  std::size_t i = 0;
  auto pending = [&] {
    x.note_memory();
    while (i < x.readers.size() && x.readers[i]->at() == source.last() && x.readers[i]->live())
      ++i;
    return i < x.readers.size();
  };
  if (!x.turn_while(pending, now_ns() + drain_ns))
    fail(x.readers[i]->name() + ": did not get everything");
  auto wall = seconds(now_ns() - begin);
  auto after = usage_of(x.pid);

  auto cpu = static_cast<double>(after.cpu_ns - before.cpu_ns);
  report to{"storm"};
  to.figure("readers", static_cast<double>(readers));
  to.figure("entries", static_cast<double>(entries));
  to.figure("payload_bytes", static_cast<double>(bytes));
  to.figure("connecting_s", connecting);
  to.figure("cpu_us_per_reader", cpu / 1000 / static_cast<double>(readers));
  add_delivery_cost(to, x, before, after, wall, static_cast<double>(own_cpu_ns() - own));
  to.figure("wall_s", wall);
  x.add_memory(to, before, after);
  to.print(x.json);
}

/// One request on a blocking socket that stays open. @returns the answer's status.
int ask(int fd, const std::string& request) {
  for (std::size_t sent = 0; sent < request.size();) {
    auto n = ::send(fd, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (n <= 0)
      fail(std::string{"fill: send: "} + std::strerror(errno));
    sent += static_cast<std::size_t>(n);
  }
  std::string answer;
  std::array<char, 65536> part;
  for (;;) {
    if (auto end = answer.find("\r\n\r\n"); end != answer.npos)
      if (auto length = number_after(answer, "Content-Length: ");
          length && answer.size() >= end + 4 + *length)
        return std::atoi(answer.c_str() + 9);
    auto n = ::recv(fd, part.data(), part.size(), 0);
    if (n <= 0)
      fail("fill: the server closed the connection");
    answer.append(part.data(), static_cast<std::size_t>(n));
  }
}

void fill(run& x, options& from) {
  auto entries = from.number("entries", 1'000'000, 1, 10'000'000);
  auto bytes = static_cast<std::size_t>(from.number("bytes", 200, payload_bytes_min, 900));
  from.check();

  auto fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  timeval patience{.tv_sec = 30, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(x.port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
    fail(std::string{"connect: "} + std::strerror(errno));
  std::string name;
  for (char c : x.of.conversation)
    name += c == '/' ? std::string{"%2F"} : std::string{c};
  auto before = usage_of(x.pid);
  auto begin = now_ns();
  for (std::int64_t at = 0; at < entries; at += 1000) {
    std::string body = "[";
    auto n = std::min<std::int64_t>(1000, entries - at);
    for (std::int64_t i = 0; i < n; ++i) {
      body += i == 0 ? R"({"payload":)" : R"(,{"payload":)";
      add_payload(body, bytes, begin);
      body += '}';
    }
    body += ']';
    auto status = ask(fd, "POST /v1/conversations/" + name +
                              "/entries HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: "
                              "application/json\r\nContent-Length: " +
                              std::to_string(body.size()) + "\r\n\r\n" + body);
    if (status != 201)
      fail("fill: status " + std::to_string(status));
  }
  ::close(fd);
  report out{"fill"};
  auto wall = seconds(now_ns() - begin);
  auto after = usage_of(x.pid);
  out.figure("entries", static_cast<double>(entries));
  out.figure("entries_per_s", static_cast<double>(entries) / wall);
  out.figure("cpu_us_per_entry", static_cast<double>(after.cpu_ns - before.cpu_ns) / 1000 /
                                     static_cast<double>(entries));
  x.add_memory(out, before, after);
  out.print(x.json);
}

} // namespace

} // namespace confab::bench

int main(int argc, char** argv) {
  using namespace confab::bench;
  const std::map<std::string_view, void (*)(run&, options&)> scenarios{
      {"fill", fill}, {"fanout", fanout}, {"idle", idle},  {"publish", publish},
      {"lag", lag},   {"stall", stall},   {"storm", storm}};
  auto chosen = argc < 2 ? scenarios.end() : scenarios.find(argv[1]);
  if (chosen == scenarios.end()) {
    std::fputs(usage_text, stderr);
    return 2;
  }
  rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  options from{argc, argv, 2};
  run x{from};
  chosen->second(x, from);
}
