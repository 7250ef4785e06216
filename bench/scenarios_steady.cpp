// Steady load: nobody is behind.
#include "scenarios.hpp"

namespace confab::bench {

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

} // namespace confab::bench
