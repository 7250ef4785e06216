#include "net/io_thread.hpp"

#include <boost/asio/post.hpp>

#include <future>

namespace confab::net {

namespace {

/// Granularity of heartbeats, deadlines and page retries.
constexpr std::chrono::milliseconds tick_period{250};

} // namespace

thread_local const io_thread* io_thread::before_pass_ = nullptr;

io_thread::io_thread(server_context& shared)
  : shared_{shared}, hub_{shared.hub, shared.pages, [this] {
                            // What an actor announces on this very thread needs no turn of its own.
                            if (before_pass_ != this)
                              ask_for_turn();
                          }} {}

io_thread::~io_thread() {
  stop();
}

void io_thread::start() {
  hub_.tick(now_ms());
  tick();
  thread_ = std::thread{[this] { run(); }};
}

void io_thread::run() {
  actors_ = shared_.backend.join([this] { ask_for_turn(); });
  context_.run();
  actors_.reset();
}

void io_thread::ask_for_turn() {
  if (!asked_.exchange(true))
    asio::post(context_, [this] { turn(); });
}

void io_thread::turn() {
  asked_ = false;
  before_pass_ = this;
  actors_->run();
  before_pass_ = nullptr;
  hub_.pass();
}

void io_thread::stop() {
  if (!thread_.joinable())
    return;
  asio::post(context_, [this] {
    hub_.for_each([](session& x) { x.cut(); });
    timer_.cancel();
    work_.reset();
    context_.stop();
  });
  thread_.join();
}

std::int64_t io_thread::now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

std::int64_t io_thread::wall_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

void io_thread::tick() {
  timer_.expires_after(tick_period);
  timer_.async_wait([this](error_code ec) {
    if (ec)
      return;
    hub_.tick(now_ms());
    tick();
  });
}

} // namespace confab::net
