// Readers that have to catch up while others go on.
#include "scenarios.hpp"

namespace confab::bench {

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

} // namespace confab::bench
