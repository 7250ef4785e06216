// Numbers and texts of frames between nodes: LEB128, and length-prefixed bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace confab::net::wire {

inline void add_leb128(std::string& out, std::uint64_t x) {
  for (; x >= 0x80; x >>= 7)
    out.push_back(static_cast<char>(x | 0x80));
  out.push_back(static_cast<char>(x));
}

inline void add_text(std::string& out, std::string_view x) {
  add_leb128(out, x.size());
  out.append(x);
}

/// Reads hostile bytes; the first thing that is not there ends it for good.
class link_bytes_reader {
public:
  explicit link_bytes_reader(std::string_view bytes) : left_{bytes} {}

  [[nodiscard]] bool whole() const noexcept { return whole_; }
  [[nodiscard]] bool at_end() const noexcept { return left_.empty(); }
  void refuse() noexcept {
    whole_ = false;
    left_ = {};
  }

  std::uint64_t number() {
    std::uint64_t x = 0;
    for (int shift = 0; shift < 64 && !left_.empty(); shift += 7) {
      auto byte = static_cast<unsigned char>(left_.front());
      left_.remove_prefix(1);
      if (shift == 63 && byte > 1)
        break;
      x |= std::uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80)
        return x;
    }
    refuse();
    return 0;
  }
  /// A number that is not beyond `most`.
  std::uint64_t number(std::uint64_t most) {
    auto x = number();
    if (x <= most)
      return x;
    refuse();
    return 0;
  }
  std::string_view text(std::size_t bytes_max = std::string_view::npos) {
    auto size = number(bytes_max);
    if (size > left_.size())
      refuse();
    auto x = left_.substr(0, size);
    left_.remove_prefix(x.size());
    return x;
  }

private:
  std::string_view left_;
  bool whole_ = true;
};

} // namespace confab::net::wire
