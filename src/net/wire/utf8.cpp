#include "net/wire/utf8.hpp"

namespace confab::net::wire {

bool utf8_progress::take(std::string_view piece) noexcept {
  for (char x : piece) {
    auto c = static_cast<std::uint8_t>(x);
    if (missing_ > 0) {
      if (c < least_ || c > most_)
        return false;
      --missing_;
      least_ = 0x80;
      most_ = 0xbf;
    } else if (c < 0x80) {
      continue;
    } else if (c < 0xc2 || c > 0xf4) {
      return false;
    } else if (c < 0xe0) {
      missing_ = 1;
    } else if (c < 0xf0) {
      missing_ = 2;
      least_ = c == 0xe0 ? 0xa0 : 0x80;
      most_ = c == 0xed ? 0x9f : 0xbf;
    } else {
      missing_ = 3;
      least_ = c == 0xf0 ? 0x90 : 0x80;
      most_ = c == 0xf4 ? 0x8f : 0xbf;
    }
  }
  return true;
}

bool valid_utf8(std::string_view text) noexcept {
  utf8_progress x;
  return x.take(text) && x.whole();
}

} // namespace confab::net::wire
