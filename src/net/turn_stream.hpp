// The layer under Beast's WebSocket stream: its writes take turns with the outlet's frames (DESIGN §6).
#pragma once

#include "net/socket_member.hpp"

#include <boost/asio/any_completion_handler.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/beast/websocket/teardown.hpp>

namespace confab::net {

namespace beast = boost::beast;
namespace websocket = beast::websocket;

/// Before `open`, writes pass through (the handshake's response). After it, a write is one control frame in one piece,
/// which is what Beast writes for pong, ping and close: it is deposited in the outlet and completes when it has left.
class turn_stream {
public:
  using executor_type = executor;

  explicit turn_stream(socket_member& owner) : owner_{owner} {}
  executor_type get_executor() noexcept { return owner_.socket().get_executor(); }
  socket_member& owner() noexcept { return owner_; }

  void open() noexcept { opened_ = true; }

  /// Completes Beast's write once its frame has left.
  void flushed() {
    if (done_ && owner_.control_sent())
      finish({});
  }

  /// The end: whatever Beast waits for does not come.
  void abort() {
    if (done_)
      finish(asio::error::operation_aborted);
  }

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return owner_.socket().async_read_some(buffers, std::forward<Token>(token));
  }

  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return asio::async_initiate<Token, void(error_code, std::size_t)>(
      [this](auto handler, const Buffers& what) {
        if (!opened_)
          return void(owner_.socket().async_write_some(what, std::move(handler)));
        asio::const_buffer frame = *asio::buffer_sequence_begin(what);
        BOOST_ASSERT(frame.size() == beast::buffer_bytes(what));
        // Boost 1.81: move assignment of any_completion_handler recurses for ever; swap does not.
        completion(std::move(handler)).swap(done_);
        size_ = frame.size();
        if (!owner_.socket().is_open())
          return finish(asio::error::operation_aborted);
        const auto* bytes = static_cast<const char*>(frame.data());
        auto closes = (bytes[0] & 0x0f) == 8;
        owner_.control({bytes, frame.size()}, closes);
        owner_.watch_flushes();
        owner_.flush();
      },
      token, buffers);
  }

private:
  using completion = asio::any_completion_handler<void(error_code, std::size_t)>;

  void finish(error_code ec) {
    asio::post(get_executor(), beast::bind_front_handler(std::move(done_), ec, ec ? 0 : size_));
  }

  socket_member& owner_;
  completion done_;
  std::size_t size_ = 0;
  bool opened_ = false;
};

inline void beast_close_socket(turn_stream& x) {
  x.owner().cut();
}

inline void teardown(beast::role_type role, turn_stream& x, error_code& ec) {
  websocket::teardown(role, x.owner().socket(), ec);
}

template <class Handler>
void async_teardown(beast::role_type role, turn_stream& x, Handler&& handler) {
  x.owner().stop_entries();
  websocket::async_teardown(role, x.owner().socket(), std::forward<Handler>(handler));
}

} // namespace confab::net
