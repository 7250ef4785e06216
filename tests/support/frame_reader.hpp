// Cuts the bytes that a WebSocket server sends into frames (RFC 6455 §5.2), as they come.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace confab::test {

/// Takes unmasked, unfragmented frames only: this server sends no others.
class frame_reader {
public:
  /// Calls `f(opcode, payload)` for each frame that is complete. @returns whether all bytes so far
  /// are well-formed.
  template <class F>
  bool take(std::string_view bytes, F&& f) {
    held_.append(bytes);
    std::size_t at = 0;
    while (!broken_ && held_.size() - at >= 2) {
      auto head = static_cast<unsigned char>(held_[at]);
      auto size = static_cast<std::uint64_t>(static_cast<unsigned char>(held_[at + 1]));
      auto opcode = head & 0x0f;
      // Final, no extension; text, close, ping or pong; not masked.
      if ((head & 0xf0) != 0x80 || (opcode != 1 && (opcode < 8 || opcode > 10)) || size > 127) {
        broken_ = true;
        break;
      }
      std::size_t extra = size == 126 ? 2 : size == 127 ? 8 : 0;
      if (held_.size() - at < 2 + extra)
        break;
      if (extra > 0) {
        size = 0;
        for (std::size_t i = 0; i < extra; ++i)
          size = size << 8 | static_cast<unsigned char>(held_[at + 2 + i]);
        // The shortest form is the only one allowed.
        if (size < (extra == 2 ? 126u : 65536u)) {
          broken_ = true;
          break;
        }
      }
      if (held_.size() - at - 2 - extra < size)
        break;
      f(opcode, std::string_view{held_}.substr(at + 2 + extra, size));
      at += 2 + extra + size;
    }
    held_.erase(0, at);
    return !broken_;
  }

  /// Bytes of a frame that is not complete.
  [[nodiscard]] std::size_t pending() const noexcept { return held_.size(); }

private:
  std::string held_;
  bool broken_ = false;
};

} // namespace confab::test
