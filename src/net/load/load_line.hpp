// A load client's socket as its actor knows it: wishes that another thread fulfils.
#pragma once

#include "model/publish_schedule.hpp"
#include "net/load/load_thread.hpp"

namespace confab::net::load {

/// What the wishes lead to comes back through the client's `load_port`.
class load_line {
public:
  virtual ~load_line() = default;
  /// Connects; a reader goes on where it was.
  virtual void open() = 0;
  /// @param abrupt as when the network is gone.
  virtual void drop(bool abrupt) = 0;
  virtual void pause(bool paused) = 0;
  /// Publishers: a plan; and nothing due from `end_ns` on.
  virtual void start(const model::publish_schedule::plan& x) = 0;
  virtual void stop(std::int64_t end_ns) = 0;
};

/// A socket of a load thread, which outlives the line.
class threaded_line final : public load_line {
public:
  threaded_line(load_thread& home, std::uint32_t number) : home_{home}, number_{number} {}

  void open() override {
    home_.post([n = number_](load_thread& x) { x.socket(n).open(); });
  }
  void drop(bool abrupt) override {
    home_.post([n = number_, abrupt](load_thread& x) { x.socket(n).drop(abrupt); });
  }
  void pause(bool paused) override {
    home_.post([n = number_, paused](load_thread& x) { x.socket(n).pause(paused); });
  }
  void start(const model::publish_schedule::plan& plan) override {
    home_.post([n = number_, plan](load_thread& x) {
      if (auto* to = x.publisher(n))
        to->start(plan);
    });
  }
  void stop(std::int64_t end_ns) override {
    home_.post([n = number_, end_ns](load_thread& x) {
      if (auto* to = x.publisher(n))
        to->stop(end_ns);
    });
  }

private:
  load_thread& home_;
  const std::uint32_t number_;
};

} // namespace confab::net::load
