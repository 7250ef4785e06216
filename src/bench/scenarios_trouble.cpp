// Clients that come and go, and a server that is killed.
#include "bench/bench_run.hpp"
#include "bench/server_killer.hpp"

#include <algorithm>
#include <cstdio>
#include <optional>

namespace confab::bench {

namespace {

/// How long stalling readers read, and how long they do not.
constexpr std::int64_t stall_ns = 2'000'000'000;

} // namespace

void churn(bench_run& x) {
  auto conversations = x.count("conversations");
  x.add_conversations(conversations);
  x.set_payload(x.count("bytes"), true);
  auto audience = x.add_readers({.count = x.count("readers"), .conversations = conversations});
  auto sources = x.add_publishers(std::min(x.count("producers"), conversations), conversations);
  x.connect(audience);
  x.connect(sources);
  x.publish_at(sources, x.number("rate"), x.count("burst"), x.count("flight"));
  x.load().churn(audience, x.count("live"), x.count("away"), x.options().seed);
  auto span = x.measure();
  x.load().churn(audience, 0, 0, 0);
  x.load().until_live(audience);
  x.settle(sources);
  x.cost(span, span.entries(), "delivery");
  x.figure("resume rate",
           static_cast<double>(span.after.opened - span.before.opened) / span.seconds(), "/s");
  x.memory(span, 0);
  x.take_latencies();
}

void soak(bench_run& x) {
  const auto& options = x.options();
  auto conversations = x.count("conversations");
  auto third = std::max(x.count("readers") / 3, 1U);
  x.add_conversations(conversations);
  x.set_payload(x.count("bytes"), true);
  auto steady = x.add_readers({.count = third, .conversations = conversations});
  auto restless = x.add_readers(
      {.name = "restless reader", .count = third, .conversations = conversations, .timed = false});
  auto slow = x.add_readers({.name = "stalling reader",
                             .count = third,
                             .conversations = conversations,
                             .timed = false,
                             .receive_bytes = 16 * 1024});
  auto sources = x.add_publishers(x.count("producers"), conversations);
  for (auto group : {steady, restless, slow, sources})
    x.connect(group);
  x.publish_at(sources, x.number("rate"), x.count("burst"), x.count("flight"));
  x.load().churn(restless, x.count("live"), x.count("away"), options.seed);
  x.load().churn(sources, 4 * x.count("live"), x.count("away"), options.seed + 1);

  std::optional<server_killer> killer;
  if (options.kill_pid != 0)
    killer.emplace(options.kill_pid, options.restart, x.number("kill-every"), options.seed,
                   net::load::now_ns());
  bool paused = false;
  auto turn_ns = net::load::now_ns() + stall_ns;
  x.each_tick = [&]() -> std::string {
    auto now = net::load::now_ns();
    if (now >= turn_ns) {
      paused = !paused;
      turn_ns = now + stall_ns;
      x.load().pause(slow, paused);
    }
    return killer ? killer->tick(now) : std::string{};
  };
  auto span = x.measure();
  x.each_tick = nullptr;
  x.load().pause(slow, false);
  for (auto group : {restless, sources})
    x.load().churn(group, 0, 0, 0);
  for (auto group : {steady, restless, slow, sources})
    x.load().until_live(group);
  x.settle(sources);
  if (killer) {
    x.figure("kills", killer->kills(), "kills");
    std::fprintf(stderr, "the server runs on as process %d\n", killer->pid());
    x.figure("delivery rate", span.entries() / span.seconds(), "/s");
  } else {
    x.cost(span, span.entries(), "delivery");
    x.memory(span, 0);
  }
  x.figure("append rate",
           static_cast<double>(span.after.published - span.before.published) / span.seconds(), "/s",
           "offered: " + std::to_string(x.count("rate")) + "/s");
  x.figure("resume rate",
           static_cast<double>(span.after.opened - span.before.opened) / span.seconds(), "/s");
  x.take_latencies();
}

} // namespace confab::bench
