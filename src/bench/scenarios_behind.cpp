// Readers that have to catch up.
#include "bench/bench_run.hpp"

#include <algorithm>

namespace confab::bench {

namespace {

constexpr std::uint32_t all_at_once = 1'000'000;
/// What is due in a window has arrived so much later, unless something is wrong.
constexpr double arrival_s = 0.2;
/// As a phone's would be; the kernel would hold megabytes for those that stop reading.
constexpr int small_receive_bytes = 64 * 1024;

/// A window of its own for latencies.
void window(bench_run& x, const std::string& name, const std::function<void()>& meanwhile) {
  x.load().open_window();
  meanwhile();
  x.load().close_window();
  x.load().hold(arrival_s);
  x.take_latencies(", " + name);
}

} // namespace

void storm(bench_run& x) {
  auto readers = x.count("readers");
  auto entries = x.count("entries");
  x.add_conversations(1);
  x.set_payload(x.count("bytes"), true);
  auto audience = x.add_readers({.count = readers, .timed = false});
  auto source = x.add_publishers(1, 1);
  x.connect(audience);
  x.connect(source);
  // So that everybody has a place to go on from.
  x.publish_some(source, 10, x.count("flight"));
  x.await_all();
  x.load().drop(audience, true);
  x.load().hold(1);
  x.publish_some(source, entries, x.count("flight"));
  x.load().set_goals();
  x.load().hold(0.5);
  auto span = x.begin();
  x.load().open(audience, all_at_once);
  x.load().until_reached();
  x.end(span);
  x.load().until_live(audience);
  auto seconds = static_cast<double>(span.after.reached_ns - span.before.at_ns) / 1e9;
  x.figure("time until all have caught up", seconds, "s");
  x.figure("replay rate", span.entries() / seconds, "/s");
  if (x.has_pids()) {
    x.figure("server CPU per replayed entry", span.cpu_us() / std::max(span.entries(), 1.0), "µs",
             "with the connects and subscribes");
    x.figure("server CPU per reader", span.cpu_us() / readers, "µs");
  }
  x.figure("load CPU", static_cast<double>(span.own_cpu_ns) / 1e9, "s", "this program");
  x.memory(span, 0);
}

void lag(bench_run& x) {
  x.add_conversations(1);
  x.set_payload(x.count("bytes"), true);
  auto audience = x.add_readers({.count = x.count("readers")});
  auto late = x.add_readers(
      {.name = "late reader", .count = x.count("behind"), .from_start = true, .timed = false});
  auto source = x.add_publishers(1, 1);
  x.connect(source);
  x.publish_some(source, x.count("entries"), x.count("flight"));
  x.connect(audience);
  x.publish_at(source, x.number("rate"), 1, x.count("flight"));
  x.load().hold(1);
  window(x, "before", [&] { x.load().hold(x.number("seconds")); });
  measured_span span;
  window(x, "while others catch up", [&] {
    span = x.begin();
    // Live means that the replay has come to the tail.
    x.connect(late, all_at_once);
    x.end(span);
  });
  window(x, "after", [&] { x.load().hold(x.number("seconds")); });
  x.settle(source);
  auto replayed =
      span.entries() - static_cast<double>(span.after.timed_entries - span.before.timed_entries);
  x.figure("time until caught up", span.seconds(), "s");
  x.figure("replay rate", replayed / span.seconds(), "/s");
  if (x.has_pids())
    x.figure("server CPU per replayed entry", span.cpu_us() / std::max(replayed, 1.0), "µs",
             "with the live ones' deliveries");
  x.memory(span, 0);
}

void stall(bench_run& x) {
  x.add_conversations(1);
  x.set_payload(x.count("bytes"), true);
  auto audience = x.add_readers({.count = x.count("readers")});
  auto slow = x.add_readers({.name = "stalled reader",
                             .count = x.count("stalled"),
                             .timed = false,
                             .receive_bytes = small_receive_bytes});
  auto source = x.add_publishers(1, 1);
  x.connect(audience);
  x.connect(slow);
  x.connect(source);
  x.publish_at(source, x.number("rate"), x.count("burst"), x.count("flight"));
  x.load().hold(1);
  window(x, "before", [&] { x.load().hold(x.number("seconds")); });
  auto span = x.begin();
  window(x, "while some stand still", [&] {
    x.load().pause(slow, true);
    x.load().hold(x.number("pause"));
    x.end(span);
  });
  auto catching_up = x.begin();
  window(x, "while they catch up", [&] {
    x.load().pause(slow, false);
    x.await_all();
    x.end(catching_up);
  });
  x.settle(source);
  x.figure("time until all have caught up", catching_up.seconds(), "s");
  auto slow_entries = [](const measured_span& y) {
    return y.entries() - static_cast<double>(y.after.timed_entries - y.before.timed_entries);
  };
  x.figure("replay rate", slow_entries(catching_up) / catching_up.seconds(), "/s");
  if (!x.has_pids())
    return;
  auto kib = [](std::int64_t from, std::int64_t to) { return static_cast<double>(to - from); };
  x.figure("memory growth while they stood still",
           kib(span.usage_before.private_kib, span.usage_after.private_kib), "KiB");
  x.figure("memory growth until they had caught up",
           kib(span.usage_before.private_kib, catching_up.usage_after.private_kib), "KiB");
}

} // namespace confab::bench
