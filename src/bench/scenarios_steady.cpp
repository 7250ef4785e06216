// Steady load: nobody is behind, nobody leaves.
#include "bench/bench_run.hpp"

#include <algorithm>

namespace confab::bench {

namespace {

/// Readers that follow from now on, publishers at a rate; everything is connected before the first
/// entry.
void steady(bench_run& x, std::uint32_t conversations, std::uint32_t readers,
            std::uint32_t publishers, std::uint32_t flight) {
  x.add_conversations(conversations);
  x.set_payload(x.count("bytes"), true);
  auto audience = x.add_readers({.count = readers, .conversations = conversations});
  auto sources = x.add_publishers(publishers, conversations);
  x.connect(audience);
  x.connect(sources);
  x.publish_at(sources, x.number("rate"), x.count("burst"), flight);
  auto span = x.measure();
  x.settle(sources);
  x.cost(span, span.entries(), "delivery");
  x.figure("append rate",
           static_cast<double>(span.after.published - span.before.published) / span.seconds(), "/s",
           "offered: " + std::to_string(x.count("rate")) + "/s");
  x.memory(span, 0);
  x.take_latencies();
}

} // namespace

void fanout(bench_run& x) {
  steady(x, 1, x.count("readers"), 1, x.count("flight"));
}

void rooms(bench_run& x) {
  auto conversations = x.count("conversations");
  steady(x, conversations, conversations * x.count("readers"),
         std::min(x.count("producers"), conversations), x.count("flight"));
}

void tokens(bench_run& x) {
  auto conversations = x.count("conversations");
  steady(x, conversations, conversations, std::min(x.count("producers"), conversations),
         x.count("flight"));
}

void publish(bench_run& x) {
  auto conversations = x.count("conversations");
  x.add_conversations(conversations);
  x.set_payload(x.count("bytes"), false);
  auto sources = x.add_publishers(x.count("producers"), conversations);
  x.connect(sources);
  // Appends are measured, not the creation of conversations.
  x.publish_some(sources, conversations, x.count("flight"));
  x.publish_at(sources, x.number("rate"), 1, x.count("flight"));
  auto drop_every = x.count("drop-every");
  if (drop_every > 0)
    x.load().churn(sources, drop_every, drop_every / 10, x.options().seed);
  auto span = x.measure();
  if (drop_every > 0)
    x.load().churn(sources, 0, 0, 0);
  x.settle(sources);
  x.cost(span, span.receipts(), "receipt");
  x.memory(span, 0);
  x.take_latencies();
}

void idle(bench_run& x) {
  auto connections = x.count("connections");
  auto conversations = std::min(x.count("conversations"), connections);
  x.add_conversations(conversations);
  x.set_payload(model::stamp_bytes_min, true);
  // What only the first connection costs is not counted.
  auto first = x.add_readers({.name = "first reader"});
  auto sources = x.add_publishers(std::min<std::size_t>(8, conversations), conversations);
  auto crowd = x.add_readers({.count = connections, .conversations = conversations});
  x.connect(first);
  x.connect(sources);
  auto whole = x.begin();
  auto connecting = x.begin();
  x.connect(crowd);
  x.end(connecting);
  x.load().hold(1);
  auto rest = x.begin();
  x.load().hold(x.number("seconds"));
  x.end(rest);
  x.end(whole);
  // They are worth counting only if they work: each gets one entry.
  x.load().open_window();
  x.publish_some(sources, conversations, x.count("flight"));
  x.await_all();
  x.load().close_window();
  x.figure("connections", connections, "connections");
  x.figure("connect rate", connections / connecting.seconds(), "/s");
  x.memory(whole, connections);
  if (x.has_pids()) {
    x.figure("server CPU per connect", connecting.cpu_us() / connections, "µs",
             "handshake and subscribe");
    x.figure("idle server CPU", 100 * rest.cpu_us() / 1e6 / rest.seconds(), "%", "of one core");
  }
  x.take_latencies();
}

} // namespace confab::bench
