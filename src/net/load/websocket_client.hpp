// The client's side of RFC 6455 for the load clients: a handshake and frames, bytes in and bytes
// out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace confab::net::load {

/// One connection to one server. It costs little: what is not yet complete stays with the caller,
/// and only the parts of a fragmented message are kept here.
///
/// Frames leave with the masking key 0, which RFC 6455 §5.3 forbids only because a proxy between
/// could be fooled; there is none here, and the server pays the same for any key.
class websocket_client {
public:
  /// The longest answer to the handshake, in bytes.
  static constexpr std::size_t answer_bytes_max = 8 * 1024;
  /// The longest message, in bytes; also when it comes in fragments.
  static constexpr std::size_t message_bytes_max = 16 * 1024 * 1024;

  enum class opcode : std::uint8_t { text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

  struct step {
    enum class what : std::uint8_t {
      more,    ///< nothing complete is left
      opened,  ///< the handshake is over
      message, ///< `text` is a whole text or binary message
      ended,   ///< the connection is of no use; `text` says why, for people
    };
    what is = what::more;
    /// Bytes of the input that are done with.
    std::size_t used = 0;
    /// Valid until the next call; a message may be changed in place.
    std::span<char> text;

    [[nodiscard]] std::string_view view() const noexcept { return {text.data(), text.size()}; }
  };

  /// Begins a connection and appends its request.
  /// @param target path and query, as they go into the request line.
  /// @param protocol the one sub-protocol to ask for; the server must then choose it. May be empty.
  void connect(std::string& out, std::string_view target, std::string_view protocol = {});

  /// Takes the next thing from `in`; pings and a close are answered into `out` on the way. After
  /// `ended` only `connect` may follow.
  [[nodiscard]] step next(std::span<char> in, std::string& out);

  [[nodiscard]] bool open() const noexcept { return state_ == state::open; }

  /// Appends one whole frame.
  static void add(std::string& out, std::string_view payload, opcode as = opcode::text);

  /// A frame whose payload is written in place: reserves the longest header for a payload of up to
  /// 65,535 bytes. @returns where the frame begins.
  [[nodiscard]] static std::size_t begin(std::string& out);
  /// Ends the frame that begins at `at`; what was appended since is its payload.
  static void end(std::string& out, std::size_t at, opcode as = opcode::text);

private:
  enum class state : std::uint8_t { idle, asked, open, over };

  step answered(std::span<char> in);
  step ended(std::size_t used, std::string why);
  bool control(opcode op, std::string_view payload, std::string& out, std::string& why);

  state state_ = state::idle;
  /// A fragmented message is being put together in `text_`.
  bool in_fragments_ = false;
  /// The parts of a message so far, or why the connection ended.
  std::string text_;
  std::string protocol_;
};

} // namespace confab::net::load
