// One run of a scenario: the server it measures, its readers and its publisher.
#pragma once

#include "publisher.hpp"
#include "reader.hpp"

#include <functional>
#include <memory>

namespace confab::bench {

/// Longest wait for everything that must arrive at the end of a run.
constexpr std::int64_t drain_ns = 180 * second_ns;
/// Handshakes in progress at a time, where a scenario is not about them.
constexpr std::size_t connecting_max = 256;

double seconds(std::int64_t ns);
/// CPU time of this process.
std::int64_t own_cpu_ns();

/// One run: a server, its clients, and the options that all scenarios share.
class run {
public:
  explicit run(options& from)
    : port{static_cast<std::uint16_t>(from.number("port", 0, 1, 65535))},
      pid{static_cast<int>(from.number("pid", 0, 0, 1 << 30))},
      limit{from.number("limit", 0, 0, 1) == 1}, json{from.number("json", 0, 0, 1) == 1} {
    of.conversation = from.text("conversation", "load/" + std::to_string(now_ns()));
  }

  void turn_until(std::int64_t at_ns);

  /// Turns until `done`, at most until `deadline_ns`. @returns whether it was done.
  bool turn_while(const std::function<bool()>& pending, std::int64_t deadline_ns);

  /// `n` readers that follow `after` and are live.
  void add_readers(std::size_t n, const std::string& after, int receive_bytes = 0);

  void await_live(std::size_t from, std::size_t to);

  publisher& add_publisher(std::size_t bytes);

  /// Publishes at `rate` in bursts until `until_ns`. @returns the publishes that a full window put
  /// off.
  std::uint64_t publish_at(
      double rate, std::uint64_t burst, std::int64_t until_ns,
      const std::function<void()>& meanwhile = [] {});

  void publish_now(std::uint64_t entries);

  void await_receipts();

  /// Every reader has everything through `seq`.
  void await_all(std::uint64_t seq);

  void note_memory();

  void add_memory(report& to, const usage& before, const usage& after);

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

/// What the deliveries since `before` cost: `wall` in seconds, `client_cpu` in nanoseconds.
void add_delivery_cost(report& to, const run& x, const usage& before, const usage& after,
                       double wall, double client_cpu);

} // namespace confab::bench
