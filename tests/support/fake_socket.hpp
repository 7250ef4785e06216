// A WebSocket session without a socket: a member of a real hub that takes as many bytes as a test
// allows.
#pragma once

#include "net/hub.hpp"
#include "net/wire/formats.hpp"
#include "support/frame_reader.hpp"

#include <functional>
#include <limits>

namespace confab::test {

/// Answers events as the WebSocket session does. Bytes that left go to `peer`, frame by frame.
class fake_socket : public net::member {
public:
  static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();
  using peer = std::function<void(int opcode, std::string_view payload)>;

  fake_socket(net::hub& owner, peer to,
              const model::wire_format& format = net::wire::websocket_format())
    : member{owner}, peer_{std::move(to)}, format_{format} {}

  void take(net::event& x) override {
    if (cut_)
      return;
    if (auto* s = std::get_if<net::subscribed_event>(&x)) {
      say([&](std::string& out) { net::wire::add_subscribed(out, *s); });
      follow(*s, format_);
    } else if (auto* u = std::get_if<net::unsubscribed_event>(&x)) {
      unfollow(u->name);
      say([&](std::string& out) { net::wire::add_unsubscribed(out, *u); });
    } else if (auto* p = std::get_if<net::published_event>(&x)) {
      say([&](std::string& out) { net::wire::add_published(out, *p); });
    } else if (auto* a = std::get_if<net::acked_event>(&x)) {
      say([&](std::string& out) { net::wire::add_acked(out, *a); });
    } else if (auto* f = std::get_if<net::failed_event>(&x)) {
      if (f->ends_subscription)
        unfollow(*f->name);
      say([&](std::string& out) { net::wire::add_failed(out, *f); });
    }
  }

  void failed(model::follower& x, const model::error& why) override {
    net::drop_command dropped{*x.from->name(), x.number};
    say([&](std::string& out) {
      net::wire::add_failed(out, {.ref = {}, .name = dropped.name, .why = why});
    });
    unfollow(dropped.name);
    if (port)
      port->tell(std::move(dropped));
  }

  std::int64_t due(std::int64_t) override { return 0; }
  void drain(std::int64_t) override {}
  void cut() override {
    if (std::exchange(cut_, true))
      return;
    auto self = shared_from_this();
    unfollow_all();
    port.reset();
    owner().remove(id);
    if (on_cut)
      on_cut();
  }

  /// The socket takes `bytes` more from now on.
  void refill(std::size_t bytes) {
    capacity_ = bytes == unlimited || capacity_ == unlimited ? unlimited : capacity_ + bytes;
    if (capacity_ > 0 && std::exchange(waits_, false))
      writable();
  }
  /// The next attempt to send fails, as on a connection that was reset.
  void break_down() {
    broken_ = true;
    owner().touch(*this);
  }
  void ping() {
    if (!control_sent())
      return;
    ping_.clear();
    net::wire::add_frame(ping_, "are you there", 9);
    control(ping_, false);
    owner().touch(*this);
  }
  /// Sends frames for this client alone at the end of the hub's pass.
  template <class Add>
  void say(Add add) {
    std::string frame;
    add(frame);
    post(frame);
    owner().touch(*this);
  }

  [[nodiscard]] bool is_cut() const noexcept { return cut_; }
  [[nodiscard]] bool waits() const noexcept { return waits_; }
  [[nodiscard]] bool well_formed() const noexcept { return well_formed_; }
  /// Bytes of a frame that has begun to arrive.
  [[nodiscard]] std::size_t pending() const noexcept { return reader_.pending(); }

  std::unique_ptr<net::client_port> port;
  std::function<void()> on_cut;

protected:
  net::send_outcome send(std::span<const model::gathering::piece> pieces) override {
    using kind = net::send_outcome::kind;
    if (broken_)
      return {kind::failed, 0};
    if (capacity_ == 0)
      return {kind::blocked, 0};
    std::size_t total = 0;
    for (const auto& x : pieces) {
      auto n = std::min(x.size, capacity_);
      deliver({x.data, n});
      if (capacity_ != unlimited)
        capacity_ -= n;
      total += n;
      if (n < x.size)
        break;
    }
    return {kind::sent, total};
  }
  void wait_writable() override { waits_ = true; }
  void deliver(std::string_view bytes) {
    well_formed_ = reader_.take(bytes, peer_) && well_formed_;
  }

private:
  peer peer_;
  const model::wire_format& format_;
  frame_reader reader_;
  std::string ping_;
  std::size_t capacity_ = unlimited;
  bool waits_ = false;
  bool broken_ = false;
  bool well_formed_ = true;
};

} // namespace confab::test
