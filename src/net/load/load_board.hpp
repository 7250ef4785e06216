// What the load threads of one run share: the server, the conversations, the measured window.
#pragma once

#include "model/send_times.hpp"
#include "model/stamp.hpp"
#include "net/load/dialect.hpp"

#include <sys/socket.h>

#include <atomic>
#include <deque>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace confab::net::load {

/// Nanoseconds of CLOCK_MONOTONIC.
[[nodiscard]] std::int64_t now_ns() noexcept;

/// Where the server listens.
struct endpoint {
  sockaddr_storage address{};
  socklen_t bytes = 0;
  /// As the user wrote it, with its port.
  std::string text;
  /// 127.0.0.0/8 over IPv4: many source addresses are to be had.
  bool loopback = false;
};

/// @param address a numeric address or a name. @returns nothing if it is none; `why` says so.
[[nodiscard]] std::optional<endpoint> resolve(const std::string& address, std::uint16_t port,
                                              std::string& why);

struct load_conversation {
  explicit load_conversation(std::string text)
    : name{std::move(text)}, check{model::conversation_check(name)} {}

  const std::string name;
  const std::uint32_t check;
  /// The highest seq of a receipt.
  std::atomic<std::uint64_t> tail{0};
  /// Something was published into it.
  std::atomic<bool> begun{false};
  /// What its readers must reach: a seq, or, where the server has none, the number of `publisher`.
  std::atomic<std::uint64_t> goal{0};
  std::atomic<std::uint32_t> publisher{0};
};

/// Outlives the load threads. Written by the driver between phases; the atomics by any thread.
class load_board {
public:
  load_board(const server_kind& kind, endpoint to) : server{kind}, at{std::move(to)} {}

  const server_kind& server;
  const endpoint at;
  /// Other nodes of the server. Filled before the load begins.
  std::vector<endpoint> others;
  /// Clients are spread over all nodes.
  [[nodiscard]] const endpoint& place_of(std::size_t client) const noexcept {
    auto i = client % (1 + others.size());
    return i == 0 ? at : others[i - 1];
  }
  /// Grows only while no client is open.
  std::deque<load_conversation> conversations;
  /// Of compact payloads; null when payloads carry their times. One line per conversation.
  std::unique_ptr<model::send_times> times;

  /// Latencies of what is due in [from, to) are recorded.
  std::atomic<std::int64_t> window_from_ns{std::numeric_limits<std::int64_t>::max()};
  std::atomic<std::int64_t> window_to_ns{std::numeric_limits<std::int64_t>::max()};

  /// What the server calls itself, as the first connection heard it; empty: not yet, or it never
  /// says. Any thread.
  [[nodiscard]] std::string version() const;
  void learned_version(std::string_view text);

  [[nodiscard]] bool in_window(std::int64_t due_ns) const noexcept {
    return due_ns >= window_from_ns.load(std::memory_order_relaxed) &&
           due_ns < window_to_ns.load(std::memory_order_relaxed);
  }

private:
  mutable std::mutex mutex_;
  std::string version_;
  std::atomic<bool> has_version_{false};
};

/// What happened in one load thread so far; written by it, read by any thread.
struct load_counters {
  std::atomic<std::uint64_t> opened{0};
  /// Connections that ended without being told to.
  std::atomic<std::uint64_t> lost{0};
  std::atomic<std::uint64_t> entries{0};
  /// Of readers whose latency counts.
  std::atomic<std::uint64_t> timed_entries{0};
  std::atomic<std::uint64_t> payload_bytes{0};
  std::atomic<std::uint64_t> published{0};
  std::atomic<std::uint64_t> receipts{0};
  std::atomic<std::uint64_t> duplicates{0};
  std::atomic<std::uint64_t> retried{0};
  std::atomic<std::uint64_t> refused{0};
  /// Entries that came wrong: repeated, reordered, foreign, behind a gap.
  std::atomic<std::uint64_t> offences{0};
  /// Readers that have reached the goal of their conversation, and when the last one did.
  std::atomic<std::uint64_t> reached{0};
  std::atomic<std::int64_t> reached_ns{0};
  /// The last round of goals that this thread has heard of.
  std::atomic<std::uint64_t> goal_round{0};

  /// One writer: no locked instruction is needed.
  static void add(std::atomic<std::uint64_t>& x, std::uint64_t n = 1) noexcept {
    x.store(x.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
};

} // namespace confab::net::load
