// Reads what a WebSocket client sends (RFC 6455 §5): bytes in, whole messages and control frames
// out.
//
//   resume(buffer) ─> what was kept, then the socket's bytes behind it ─> next, next, next … ─>
//   keep(what is left)
//
// Invariants:
// (1) Between messages, when nothing is kept, it holds one null pointer.
// (2) Of a message in progress it holds what has come, not what a header claims, and no more than
// is allowed. (3) After `close` or `broken` nothing comes.
#pragma once

#include "net/wire/utf8.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace confab::net::wire {

/// RFC 6455 §7.4.1.
enum class close_code : std::uint16_t {
  protocol_error = 1002,
  bad_payload = 1007,
  too_big = 1009,
  service_restart = 1012,
};

struct frame_event {
  enum class kind : std::uint8_t {
    none,      ///< More bytes are needed.
    text,      ///< A message, valid UTF-8.
    binary,    ///< A message.
    too_large, ///< A message beyond the limit has ended; it was read and not kept.
    ping,      ///< To be answered by a pong of the same payload, at most 125 bytes.
    pong,
    close,  ///< `code` is the peer's, 0 if it gave none.
    broken, ///< Against the protocol: `code` is the one to close with.
  } what = kind::none;
  /// Without the mask. Until the next call of the reader, and no longer than the buffer.
  std::string_view payload = {};
  std::uint16_t code = 0;
};

class frame_reader {
public:
  /// A message that claims more than so many times the limit breaks the connection instead of being
  /// read to its end.
  static constexpr std::size_t too_big_factor = 16;

  frame_reader() noexcept;
  ~frame_reader();

  /// Moves what was kept to the beginning of `buffer`. @pre buffer is at least as large as the one
  /// it was kept from
  /// @returns the part that it fills.
  [[nodiscard]] std::span<char> resume(std::span<char> buffer);
  /// The next event; `bytes` is what it has left. Unmasks in place.
  /// @param message_bytes_max a larger message is `too_large`.
  [[nodiscard]] frame_event next(std::span<char>& bytes, std::size_t message_bytes_max);
  /// Keeps what `next` has left; ends the time of its payload.
  void keep(std::span<const char> bytes);

  /// After `close` and `broken`.
  [[nodiscard]] bool ended() const noexcept { return ended_; }

private:
  struct header;
  struct progress;

  frame_event broken(close_code why) noexcept;
  frame_event control(const header& x, std::span<char> payload);
  /// Begins or continues a message. @returns what is wrong with the frame, if so.
  frame_event begin_frame(const header& x, std::size_t message_bytes_max);
  frame_event whole_message(const header& x, std::span<char> payload);
  frame_event take_payload(std::span<char>& bytes);
  void forget_given() noexcept;

  std::unique_ptr<progress> progress_;
  bool ended_ = false;
};

} // namespace confab::net::wire
