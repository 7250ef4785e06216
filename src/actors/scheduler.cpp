#include "actors/scheduler.hpp"

#include <caf/actor_system.hpp>
#include <caf/detail/set_thread_name.hpp>
#include <caf/execution_unit.hpp>
#include <caf/resumable.hpp>

#include <condition_variable>
#include <deque>
#include <mutex>

namespace confab::actors {

namespace {

/// Actors that run before the sockets have their turn again: well below a millisecond, with the 50
/// messages that each may handle at most (node.cpp).
constexpr std::size_t jobs_per_turn = 64;

} // namespace

class scheduler::queue final : public caf::execution_unit, public net::actor_turns {
public:
  queue(scheduler& owner, std::function<void()> wake)
    : caf::execution_unit{&owner.system()}, owner_{owner}, wake_{std::move(wake)} {}

  ~queue() override { owner_.leave(*this); }

  /// The one of the calling thread, if it runs actors.
  static thread_local queue* current;

  [[nodiscard]] const scheduler& owner() const noexcept { return owner_; }

  void exec_later(caf::resumable* job) override {
    ready_.push_back(job);
    if (!running_)
      ask_for_turn();
  }

  /// Any thread.
  void deposit(caf::resumable* job) {
    {
      std::lock_guard lock{mutex_};
      arrived_.push_back(job);
      if (std::exchange(asked_, true))
        return;
    }
    wake_();
  }

  void run() override {
    take_arrived();
    running_ = true;
    for (std::size_t i = 0; i < jobs_per_turn && !ready_.empty(); ++i) {
      auto* job = ready_.front();
      ready_.pop_front();
      resume(job);
    }
    running_ = false;
    if (!ready_.empty())
      ask_for_turn();
  }

  /// What has not run. @pre nobody deposits any more.
  std::deque<caf::resumable*> take_all() {
    take_arrived();
    return std::exchange(ready_, {});
  }

private:
  void take_arrived() {
    std::lock_guard lock{mutex_};
    asked_ = false;
    ready_.insert(ready_.end(), arrived_.begin(), arrived_.end());
    arrived_.clear();
  }

  void ask_for_turn() {
    {
      std::lock_guard lock{mutex_};
      if (std::exchange(asked_, true))
        return;
    }
    wake_();
  }

  void resume(caf::resumable* job) {
    switch (job->resume(this, owner_.max_throughput())) {
    case caf::resumable::resume_later:
      // It keeps its reference, and has its next turn behind the others.
      ready_.push_back(job);
      break;
    case caf::resumable::done:
    case caf::resumable::awaiting_message:
    case caf::resumable::shutdown_execution_unit:
      caf::intrusive_ptr_release(job);
      break;
    }
  }

  scheduler& owner_;
  std::function<void()> wake_;
  /// Of this thread alone.
  std::deque<caf::resumable*> ready_;
  bool running_ = false;
  std::mutex mutex_;
  std::vector<caf::resumable*> arrived_;
  /// A turn was asked for and has not begun.
  bool asked_ = false;
};

thread_local scheduler::queue* scheduler::queue::current = nullptr;

/// Runs what is enqueued while nobody has joined.
class scheduler::own_thread {
public:
  explicit own_thread(scheduler& owner) : turns{owner, [this] { wake(true); }} {
    thread_ = std::thread{[this] { run(); }};
  }
  ~own_thread() {
    stop();
    for (auto* job : turns.take_all())
      cleanup_and_release(job);
  }

  void stop() {
    if (!thread_.joinable())
      return;
    wake(false);
    thread_.join();
  }

  queue turns;

private:
  void wake(bool for_a_turn) {
    {
      std::lock_guard lock{mutex_};
      (for_a_turn ? due_ : stopping_) = true;
    }
    changed_.notify_one();
  }

  void run() {
    caf::detail::set_thread_name("confab.actors");
    queue::current = &turns;
    for (;;) {
      {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [this] { return due_ || stopping_; });
        if (!std::exchange(due_, false))
          return;
      }
      turns.run();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool due_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

scheduler::scheduler(caf::actor_system& of) : caf::scheduler::abstract_coordinator{of} {}

scheduler::~scheduler() = default;

std::unique_ptr<net::actor_turns> scheduler::join(std::function<void()> wake) {
  auto joined = std::make_unique<queue>(*this, std::move(wake));
  queue::current = joined.get();
  std::unique_lock lock{membership_};
  joined_.push_back(joined.get());
  return joined;
}

void scheduler::leave(queue& x) {
  {
    std::unique_lock lock{membership_};
    if (std::erase(joined_, &x) == 0)
      return;
  }
  queue::current = nullptr;
  for (auto* job : x.take_all())
    place(job);
}

void scheduler::enqueue(caf::resumable* job) {
  if (queue::current && &queue::current->owner() == this)
    queue::current->exec_later(job);
  else
    place(job);
}

void scheduler::place(caf::resumable* job) {
  std::shared_lock lock{membership_};
  if (joined_.empty())
    return own_->turns.deposit(job);
  // Actors are larger than a cache line: the lower bits tell little.
  auto which = (reinterpret_cast<std::uintptr_t>(job) >> 6) % joined_.size();
  joined_[which]->deposit(job);
}

void scheduler::start() {
  own_ = std::make_unique<own_thread>(*this);
  clock_thread_ = std::thread{[this] {
    caf::detail::set_thread_name("confab.clock");
    clock_.run_dispatch_loop();
  }};
  caf::scheduler::abstract_coordinator::start();
}

void scheduler::stop() {
  own_->stop();
  stop_actors();
  own_.reset();
  clock_.cancel_dispatch_loop();
  clock_thread_.join();
}

} // namespace confab::actors
