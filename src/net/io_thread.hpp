// One I/O thread: its io_context, its hub, and the clock and limits of its sessions.
#pragma once

#include "net/admission.hpp"
#include "net/hub.hpp"
#include "net/wire/command.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <span>
#include <string>
#include <thread>

namespace confab::net {

namespace asio = boost::asio;
using error_code = boost::system::error_code;
using executor = asio::io_context::executor_type;
// A concrete executor: 40 bytes instead of 88, and no virtual calls.
using tcp_socket = asio::basic_stream_socket<asio::ip::tcp, executor>;

/// Bounds and times of every session; `config.hpp` has their meanings.
struct session_limits {
  std::size_t frame_bytes = 1024 * 1024;
  wire::limits wire;
  std::int64_t heartbeat_ms = 25'000;
  std::int64_t idle_ms = 75'000;
  std::int64_t handshake_ms = 10'000;
  int sndbuf_bytes = 128 * 1024;
  /// Drafts without an answer, beyond which a session is not read further (DESIGN §5).
  std::size_t unanswered_drafts = 64;
  std::size_t unanswered_bytes = 1024 * 1024;
  /// Bytes for this socket alone that may wait to leave before it is not read further.
  std::size_t backlog_bytes = 64 * 1024;
  /// Origins besides the server's own that browsers may come from; `*`: all.
  std::vector<std::string> origins;
};

/// Everything that sessions share: one per process.
struct server_context {
  net::backend& backend;
  net::pages& pages;
  hub_limits hub;
  session_limits limits;
  net::gate gate;
  std::atomic<bool> draining{false};
  /// Of all I/O threads; complete before connections are taken.
  std::vector<const net::hub*> hubs = {};
};

class io_thread {
public:
  explicit io_thread(server_context& shared);
  ~io_thread();

  void start();
  /// Ends all sessions and the thread; returns when both have ended.
  void stop();

  [[nodiscard]] net::hub& hub() noexcept { return hub_; }
  [[nodiscard]] asio::io_context& context() noexcept { return context_; }
  [[nodiscard]] server_context& shared() noexcept { return shared_; }
  /// Where any of its sockets' bytes are read to: nothing stays there between two reads.
  [[nodiscard]] std::span<char> scratch() noexcept { return scratch_; }
  /// Milliseconds of the monotonic clock, as of the last tick or now.
  [[nodiscard]] static std::int64_t now_ms();
  /// Milliseconds since 1970.
  [[nodiscard]] static std::int64_t wall_ms();

private:
  void run();
  void tick();
  /// Posts a turn, if none is. Any thread.
  void ask_for_turn();
  /// The actors that are due, then the hub's pass with what they announced.
  void turn();

  server_context& shared_;
  // Before the context: its pending handlers own sessions, which know the hub.
  net::hub hub_;
  asio::io_context context_{1};
  asio::basic_waitable_timer<std::chrono::steady_clock,
                             asio::wait_traits<std::chrono::steady_clock>, executor>
      timer_{context_};
  asio::executor_work_guard<executor> work_{context_.get_executor()};
  /// What one socket may give in one turn.
  std::vector<char> scratch_ = std::vector<char>(64 * 1024);
  std::unique_ptr<actor_turns> actors_;
  /// A turn is posted.
  std::atomic<bool> asked_{false};
  /// The one whose turn runs on the calling thread, with the pass still to come.
  static thread_local const io_thread* before_pass_;
  std::thread thread_;
};

} // namespace confab::net
