// Runs the actors that are due on the I/O threads, between their sockets' turns.
//
// A hand-over to another thread costs two switches and a wake-up, more than what most actors do
// with a message. So a command that comes from a socket is handled by its connection and its
// conversation on the socket's own thread; only the log's threads are others:
//
//   socket ─> connection ─> conversation ─> (writer's thread) ─> conversation ─> connection ─>
//   sockets └─────────── one I/O thread ───────┘                        └──────── one I/O thread
//   ──────────┘
//
// Invariants:
// (1) What is enqueued while an actor runs, or by an I/O thread, runs on that thread; what other
// threads enqueue runs
//     on the thread that its address picks. CAF sees to it that no actor runs on two threads at
//     once.
// (2) A thread that leaves hands on what it has not run. While no I/O thread is there (at the
// start, at the end, in
//     programs without a server), a thread of the scheduler's own runs everything.
#pragma once

#include "net/client.hpp"

#include <caf/detail/thread_safe_actor_clock.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

#include <functional>
#include <memory>
#include <shared_mutex>
#include <thread>
#include <vector>

namespace confab::actors {

class scheduler final : public caf::scheduler::abstract_coordinator {
public:
  explicit scheduler(caf::actor_system& system);
  ~scheduler() override;

  /// The calling thread joins, and leaves by destroying the result, which it uses alone. The
  /// scheduler outlives it.
  /// @param wake asks the thread to call `run` soon; called from any thread.
  [[nodiscard]] std::unique_ptr<net::actor_turns> join(std::function<void()> wake);

  void enqueue(caf::resumable* job) override;
  caf::detail::thread_safe_actor_clock& clock() noexcept override { return clock_; }

private:
  class queue;
  class own_thread;

  void start() override;
  void stop() override;
  /// To a thread that is there.
  void place(caf::resumable* job);
  void leave(queue& x);

  caf::detail::thread_safe_actor_clock clock_;
  std::thread clock_thread_;
  /// Guards who is there, not the queues.
  std::shared_mutex membership_;
  std::vector<queue*> joined_;
  std::unique_ptr<own_thread> own_;
};

} // namespace confab::actors
