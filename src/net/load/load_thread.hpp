// A thread that serves many load clients' sockets: one epoll loop, one receive buffer, one heap of
// due times.
#pragma once

#include "model/histogram.hpp"
#include "net/load/load_publisher.hpp"
#include "net/load/load_reader.hpp"

#include <functional>
#include <mutex>
#include <queue>
#include <thread>
#include <vector>

namespace confab::net::load {

class load_thread {
public:
  using task = std::function<void(load_thread&)>;
  static constexpr std::size_t read_bytes = 128 * 1024;

  explicit load_thread(load_board& board);
  /// Stops.
  ~load_thread();
  load_thread(const load_thread&) = delete;
  load_thread& operator=(const load_thread&) = delete;

  // Any thread.

  /// Runs `x` in this thread, in the order in which tasks were posted. After `stop`: never.
  void post(task x);
  [[nodiscard]] const load_counters& counters() const noexcept { return counters_; }
  /// Ends the thread; sockets are closed with the object.
  void stop();

  // This thread, or any after `stop`.

  /// @param number of the client, unique in the run; sources of connections are chosen by it.
  void add(std::uint32_t number, socket_settings how, std::unique_ptr<load_port> port);
  [[nodiscard]] load_socket& socket(std::uint32_t number);
  /// Null: it is no such client.
  [[nodiscard]] load_publisher* publisher(std::uint32_t number);
  [[nodiscard]] const std::vector<load_reader*>& readers() const noexcept { return readers_; }
  [[nodiscard]] const std::vector<load_publisher*>& publishers() const noexcept {
    return publishers_;
  }
  /// The conversations' goals are new: counts those that have reached them.
  void new_goals(std::uint64_t round);

  /// Of readers' entries, and of publishers' receipts, that were due in the window.
  model::histogram deliveries;
  model::histogram receipts;
  /// The same, whatever the window, since somebody emptied it.
  model::histogram lately;

  // For the sockets.

  [[nodiscard]] load_board& board() noexcept { return board_; }
  [[nodiscard]] load_counters& counters() noexcept { return counters_; }
  [[nodiscard]] std::vector<char>& buffer() noexcept { return buffer_; }
  void watch(int fd, bool is_new, std::uint32_t events, std::uint32_t number,
             std::uint32_t generation);
  /// `due` of the socket is called then or a little later.
  void wake(std::uint32_t number, std::int64_t at_ns);
  /// The time of the read in progress: one clock call for all entries of it.
  [[nodiscard]] std::int64_t read_ns() const noexcept { return read_ns_; }
  void read_now() noexcept { read_ns_ = now_ns(); }

private:
  struct alarm {
    std::int64_t at_ns;
    std::uint32_t number;
    bool operator>(const alarm& x) const noexcept { return at_ns > x.at_ns; }
  };

  void run();
  void turn();
  void run_tasks();
  void ring(std::int64_t now);

  load_board& board_;
  load_counters counters_;
  std::vector<char> buffer_;
  std::int64_t read_ns_ = 0;
  int epoll_ = -1;
  int wake_ = -1;
  /// By number, with holes where other threads have theirs.
  std::vector<std::unique_ptr<load_socket>> sockets_;
  std::vector<load_reader*> readers_;
  std::vector<load_publisher*> publishers_;
  std::priority_queue<alarm, std::vector<alarm>, std::greater<>> alarms_;
  bool stopping_ = false;
  std::mutex mutex_;
  /// Under `mutex_`.
  std::vector<task> tasks_;
  /// Last: it uses all of the others.
  std::thread thread_;
};

} // namespace confab::net::load
