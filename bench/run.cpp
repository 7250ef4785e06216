#include "run.hpp"

namespace confab::bench {

double seconds(std::int64_t ns) {
  return static_cast<double>(ns) / 1e9;
}

std::int64_t own_cpu_ns() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return std::int64_t{t.tv_sec} * second_ns + t.tv_nsec;
}

void run::turn_until(std::int64_t at_ns) {
  do
    loop.turn(at_ns);
  while (now_ns() < at_ns);
}

bool run::turn_while(const std::function<bool()>& pending, std::int64_t deadline_ns) {
  while (pending()) {
    if (now_ns() > deadline_ns)
      return false;
    loop.turn(std::min(deadline_ns, now_ns() + second_ns / 10));
  }
  return true;
}

void run::add_readers(std::size_t n, const std::string& after, int receive_bytes) {
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

void run::await_live(std::size_t from, std::size_t to) {
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

publisher& run::add_publisher(std::size_t bytes) {
  of.payload_bytes = bytes;
  source = std::make_unique<publisher>(loop, port, of.conversation, bytes);
  source->connect(limit ? "/v1/ws?conversation=" + of.conversation : "/v1/ws");
  if (!limit && !turn_while([&] { return !source->greeted(); }, now_ns() + drain_ns))
    fail("the publisher got no hello");
  return *source;
}

std::uint64_t run::publish_at(double rate, std::uint64_t burst, std::int64_t until_ns,
                              const std::function<void()>& meanwhile) {
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

void run::publish_now(std::uint64_t entries) {
  for (std::uint64_t i = 0; i < entries;) {
    for (; i < entries && source->in_flight() < publisher::in_flight_max; ++i)
      source->publish();
    loop.turn(now_ns() + second_ns / 10);
  }
  await_receipts();
}

void run::await_receipts() {
  if (!turn_while([&] { return source->in_flight() > 0; }, now_ns() + drain_ns))
    fail(source->name() + ": " + std::to_string(source->in_flight()) + " receipts are missing");
}

void run::await_all(std::uint64_t seq) {
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

void run::note_memory() {
  if (pid == 0 || now_ns() < next_memory_ns)
    return;
  next_memory_ns = now_ns() + second_ns / 5;
  auto x = usage_of(pid);
  private_kib_max = std::max(private_kib_max, x.private_kib);
  rss_anon_kib_max = std::max(rss_anon_kib_max, x.rss_anon_kib);
}

void run::add_memory(report& to, const usage& before, const usage& after) {
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

} // namespace confab::bench
