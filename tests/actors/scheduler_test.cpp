// Which thread runs an actor, and that none is forgotten when threads come and go.
#include "actors/scheduler.hpp"

#include "actors/node.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <random>
#include <set>
#include <thread>

using namespace confab;

namespace {

/// What actors did, and where.
struct witness {
  std::mutex mutex;
  std::condition_variable changed;
  std::set<std::thread::id> threads;
  std::size_t handled = 0;
  std::atomic<bool> overlapped{false};

  void note() {
    std::lock_guard lock{mutex};
    threads.insert(std::this_thread::get_id());
    ++handled;
    changed.notify_all();
  }
  void await(std::size_t n) {
    std::unique_lock lock{mutex};
    changed.wait(lock, [&] { return handled >= n; });
  }
  std::size_t count() {
    std::lock_guard lock{mutex};
    return handled;
  }
};

struct bed {
  /// Outlives the actors.
  witness seen;
  actors::node_config config;
  caf::actor_system system{config};

  actors::scheduler& scheduler() { return static_cast<actors::scheduler&>(system.scheduler()); }

  caf::actor spawn() {
    return system.spawn([this](caf::event_based_actor*) -> caf::behavior {
      auto busy = std::make_shared<std::atomic<bool>>(false);
      return {[this, busy](int) {
        if (busy->exchange(true))
          seen.overlapped = true;
        seen.note();
        *busy = false;
      }};
    });
  }
};

/// A thread's wish for turns, as an I/O thread has it.
class turn_wish {
public:
  std::function<void()> asker() {
    return [this] {
      std::lock_guard lock{mutex_};
      ++asked_;
      changed_.notify_all();
    };
  }
  void await() {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return asked_ > 0; });
    asked_ = 0;
  }
  /// @returns whether there was one.
  bool take() {
    std::lock_guard lock{mutex_};
    return std::exchange(asked_, 0) > 0;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int asked_ = 0;
};

} // namespace

TEST_CASE("while nobody has joined, a thread of the scheduler's own runs the actors") {
  bed x;
  caf::anon_send(x.spawn(), 1);
  x.seen.await(1);
  CHECK(x.seen.threads.count(std::this_thread::get_id()) == 0);
}

TEST_CASE("a thread that has joined runs them, in the turns that it was asked for and no others") {
  bed x;
  turn_wish wish;
  {
    auto turns = x.scheduler().join(wish.asker());
    CHECK_FALSE(wish.take());
    auto actor = x.spawn();
    CHECK(wish.take());
    turns->run();
    CHECK_FALSE(wish.take());
    // From another thread, and from this one.
    std::thread{[&] { caf::anon_send(actor, 1); }}.join();
    wish.await();
    CHECK(x.seen.count() == 0);
    turns->run();
    CHECK(x.seen.count() == 1);
    caf::anon_send(actor, 2);
    CHECK(wish.take());
    turns->run();
    CHECK(x.seen.count() == 2);
    CHECK_FALSE(wish.take());
  }
  CHECK(x.seen.threads == std::set{std::this_thread::get_id()});
}

TEST_CASE("a turn runs so many actors at most, and asks for the next one") {
  bed x;
  turn_wish wish;
  auto turns = x.scheduler().join(wish.asker());
  std::vector<caf::actor> all;
  for (int i = 0; i < 200; ++i)
    all.push_back(x.spawn());
  while (wish.take())
    turns->run();
  for (const auto& each : all)
    caf::anon_send(each, 1);
  std::vector<std::size_t> after;
  while (wish.take()) {
    turns->run();
    after.push_back(x.seen.count());
  }
  CHECK(after == std::vector<std::size_t>{64, 128, 192, 200});
}

TEST_CASE("what a thread has not run when it leaves, another one runs") {
  bed x;
  turn_wish wish;
  std::vector<caf::actor> all;
  {
    auto turns = x.scheduler().join(wish.asker());
    for (int i = 0; i < 100; ++i)
      caf::anon_send(all.emplace_back(x.spawn()), 1);
    CHECK(x.seen.count() == 0);
  }
  x.seen.await(100);
  CHECK(x.seen.threads.count(std::this_thread::get_id()) == 0);
}

TEST_CASE("threads that come and go forget no message, and none runs an actor beside another") {
  constexpr std::size_t messages = 20'000;
  auto seed = std::random_device{}();
  CAPTURE(seed);
  bed x;
  std::vector<caf::actor> all;
  for (int i = 0; i < 50; ++i)
    all.push_back(x.spawn());
  std::atomic<bool> over{false};
  std::vector<std::thread> comers;
  for (unsigned i = 0; i < 3; ++i)
    comers.emplace_back([&, i] {
      std::mt19937 random{seed + i};
      while (!over) {
        turn_wish wish;
        auto turns = x.scheduler().join(wish.asker());
        for (auto rounds = random() % 20; rounds > 0; --rounds) {
          if (wish.take())
            turns->run();
          if (random() % 4 == 0)
            caf::anon_send(all[random() % all.size()], 0);
          std::this_thread::yield();
        }
      }
    });
  std::mt19937 random{seed + 3};
  for (std::size_t i = 0; i < messages; ++i)
    caf::anon_send(all[random() % all.size()], 1);
  x.seen.await(messages);
  over = true;
  for (auto& each : comers)
    each.join();
  CHECK_FALSE(x.seen.overlapped);
}
