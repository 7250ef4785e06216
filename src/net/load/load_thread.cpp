#include "net/load/load_thread.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <system_error>

namespace confab::net::load {

namespace {

constexpr std::uint64_t wake_key = std::numeric_limits<std::uint64_t>::max();
constexpr std::int64_t second_ns = 1'000'000'000;
/// Without anything due.
constexpr std::int64_t idle_ns = second_ns;

int checked(int result, const char* what) {
  if (result < 0)
    throw std::system_error{errno, std::generic_category(), what};
  return result;
}

} // namespace

load_thread::load_thread(load_board& board)
  : board_{board},
    buffer_(2 * read_bytes), epoll_{checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")},
    wake_{checked(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd")} {
  epoll_event x{};
  x.events = EPOLLIN;
  x.data.u64 = wake_key;
  checked(::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &x), "epoll_ctl");
  thread_ = std::thread{[this] { run(); }};
}

load_thread::~load_thread() {
  stop();
  sockets_.clear();
  ::close(wake_);
  ::close(epoll_);
}

void load_thread::stop() {
  if (!thread_.joinable())
    return;
  post([](load_thread& x) { x.stopping_ = true; });
  thread_.join();
}

void load_thread::post(task x) {
  bool first = false;
  {
    std::lock_guard lock{mutex_};
    first = tasks_.empty();
    tasks_.push_back(std::move(x));
  }
  std::uint64_t one = 1;
  // A counter that is full wakes as well.
  if (first && ::write(wake_, &one, sizeof one) < 0 && errno != EAGAIN)
    throw std::system_error{errno, std::generic_category(), "eventfd"};
}

void load_thread::run_tasks() {
  std::uint64_t count = 0;
  if (::read(wake_, &count, sizeof count) < 0 && errno != EAGAIN)
    throw std::system_error{errno, std::generic_category(), "eventfd"};
  std::vector<task> now;
  {
    std::lock_guard lock{mutex_};
    now.swap(tasks_);
  }
  for (auto& x : now)
    x(*this);
}

void load_thread::run() {
  while (!stopping_)
    turn();
}

void load_thread::turn() {
  auto now = now_ns();
  auto wait =
      alarms_.empty() ? idle_ns : std::clamp<std::int64_t>(alarms_.top().at_ns - now, 0, idle_ns);
  timespec at_most{wait / second_ns, static_cast<long>(wait % second_ns)};
  std::array<epoll_event, 512> events;
  auto n =
      ::epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &at_most, nullptr);
  if (n < 0 && errno != EINTR)
    checked(n, "epoll_pwait2");
  bool woken = false;
  for (int i = 0; i < n; ++i) {
    const auto& x = events[static_cast<std::size_t>(i)];
    if (x.data.u64 == wake_key)
      woken = true;
    else
      sockets_[x.data.u64 & 0xffffffffU]->ready(x.events,
                                                static_cast<std::uint32_t>(x.data.u64 >> 32));
  }
  if (woken)
    run_tasks();
  ring(now_ns());
}

void load_thread::ring(std::int64_t now) {
  // What is set meanwhile waits for the next turn, so that sockets are read in between.
  for (auto n = alarms_.size(); n > 0 && alarms_.top().at_ns <= now; --n) {
    auto number = alarms_.top().number;
    alarms_.pop();
    sockets_[number]->due(now);
  }
}

void load_thread::watch(int fd, bool is_new, std::uint32_t events, std::uint32_t number,
                        std::uint32_t generation) {
  epoll_event x{};
  x.events = events;
  x.data.u64 = std::uint64_t{generation} << 32 | number;
  checked(::epoll_ctl(epoll_, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &x), "epoll_ctl");
}

void load_thread::wake(std::uint32_t number, std::int64_t at_ns) {
  alarms_.push({at_ns, number});
}

void load_thread::add(std::uint32_t number, socket_settings how, std::unique_ptr<load_port> port) {
  if (sockets_.size() <= number)
    sockets_.resize(number + 1);
  if (how.what.as == purpose::role::reader) {
    auto x = std::make_unique<load_reader>(*this, number, std::move(how), std::move(port));
    readers_.push_back(x.get());
    sockets_[number] = std::move(x);
  } else {
    auto x = std::make_unique<load_publisher>(*this, number, std::move(how), std::move(port));
    publishers_.push_back(x.get());
    sockets_[number] = std::move(x);
  }
}

load_socket& load_thread::socket(std::uint32_t number) {
  return *sockets_[number];
}

load_publisher* load_thread::publisher(std::uint32_t number) {
  return dynamic_cast<load_publisher*>(sockets_[number].get());
}

void load_thread::new_goals(std::uint64_t round) {
  counters_.reached = 0;
  counters_.reached_ns = 0;
  for (auto* x : readers_)
    x->new_goal();
  counters_.goal_round = round;
}

} // namespace confab::net::load
