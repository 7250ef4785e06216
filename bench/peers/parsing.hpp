// Small strict readers of what peers send.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace confab::peers {

/// The whole text as a decimal number without sign.
[[nodiscard]] inline std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t x = 0;
  auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), x);
  if (text.empty() || failure != std::errc{} || end != text.data() + text.size())
    return std::nullopt;
  return x;
}

/// Takes what stands before the next `stop`, and `stop`, from `rest`; without a `stop`: all of it.
inline std::string_view cut(std::string_view& rest, std::string_view stop) {
  auto at = std::min(rest.find(stop), rest.size());
  auto first = rest.substr(0, at);
  rest.remove_prefix(std::min(rest.size(), at + stop.size()));
  return first;
}

/// What a peer said, for people: cut short, and without what a terminal would act on.
[[nodiscard]] inline std::string printable(std::string_view text) {
  constexpr std::size_t bytes_max = 200;
  std::string result{text.substr(0, bytes_max)};
  std::replace_if(
      result.begin(), result.end(), [](unsigned char x) { return x < 0x20 || x >= 0x7f; }, '?');
  return result;
}

/// Publishes that wait for an answer on a connection that answers in order. `ref` rises by one, so
/// two numbers are the whole queue.
class unanswered {
public:
  void clear() noexcept { *this = {}; }
  void add(std::uint64_t ref) noexcept {
    if (count_++ == 0)
      front_ = ref;
  }
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] std::uint64_t front() const noexcept { return front_; }
  /// The oldest; there must be one.
  std::uint64_t pop() noexcept {
    --count_;
    return front_++;
  }

private:
  std::uint64_t front_ = 0;
  std::uint64_t count_ = 0;
};

} // namespace confab::peers
