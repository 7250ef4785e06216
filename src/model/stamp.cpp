#include "model/stamp.hpp"

#include <array>
#include <cassert>
#include <charconv>
#include <cstring>

namespace confab::model {

namespace {

constexpr std::string_view digits =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
constexpr std::uint8_t no_digit = 64;
constexpr std::size_t check_digits = 8;
constexpr std::size_t compact_digits = 8;

constexpr auto digit_values = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(no_digit);
  for (std::size_t i = 0; i < digits.size(); ++i)
    values[static_cast<unsigned char>(digits[i])] = static_cast<std::uint8_t>(i);
  return values;
}();

template <class T>
void add_decimal(std::string& out, T x) {
  std::array<char, 20> text;
  auto end = std::to_chars(text.data(), text.data() + text.size(), x).ptr;
  out.append(text.data(), end);
  out += '-';
}

void add_digits(std::string& out, std::uint64_t x, unsigned count) {
  while (count-- > 0)
    out += digits[(x >> (6 * count)) & 63];
}

/// Takes what `add_decimal` wrote: no sign, no leading zero.
template <class T>
bool take_decimal(std::string_view& text, T& x) noexcept {
  if (text.empty() || text[0] < '0' || text[0] > '9')
    return false;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), x);
  auto length = static_cast<std::size_t>(end - text.data());
  if (error != std::errc{} || length == text.size() || *end != '-' ||
      (text[0] == '0' && length > 1))
    return false;
  text.remove_prefix(length + 1);
  return true;
}

bool take_check(std::string_view& text, std::uint32_t& x) noexcept {
  if (text.size() < check_digits)
    return false;
  x = 0;
  for (char c : text.substr(0, check_digits)) {
    auto low = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (low < 0)
      return false;
    x = x << 4 | static_cast<std::uint32_t>(low);
  }
  text.remove_prefix(check_digits);
  return true;
}

bool only_filler(std::string_view text) noexcept {
  // Equal to itself moved by one: all bytes are the same.
  return text.empty() ||
         (text[0] == 'x' && std::memcmp(text.data(), text.data() + 1, text.size() - 1) == 0);
}

std::optional<stamp> parse_compact(std::string_view text) noexcept {
  std::uint64_t all = 0;
  std::uint8_t worst = 0;
  for (char c : text.substr(0, compact_digits)) {
    auto value = digit_values[static_cast<unsigned char>(c)];
    worst |= value;
    all = all << 6 | (value & 63);
  }
  if (worst >= no_digit || !only_filler(text.substr(compact_digits)))
    return {};
  stamp x;
  x.number = all >> 24;
  x.publisher = static_cast<std::uint32_t>(all >> 12) & compact_publisher_mask;
  x.conversation = static_cast<std::uint32_t>(all) & compact_check_mask;
  x.compact = true;
  return x;
}

std::optional<stamp> parse_full(std::string_view text) noexcept {
  stamp x;
  if (!take_decimal(text, x.publisher) || !take_decimal(text, x.number) ||
      !take_decimal(text, x.due_ns) || !take_check(text, x.conversation))
    return {};
  // `stamp_bytes_min` leaves room for a dash and filler behind the longest of everything else.
  if (text.size() < 2 || text[0] != '-' || !only_filler(text.substr(1)))
    return {};
  return x;
}

} // namespace

std::uint32_t conversation_check(std::string_view name) noexcept {
  // FNV-1a of 64 bits, then its halves: the low bits alone must do in the compact form.
  std::uint64_t h = 0xcbf29ce484222325;
  for (char c : name)
    h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  h ^= h >> 32;
  h *= 0xd6e8feb86659fd93;
  return static_cast<std::uint32_t>(h >> 32);
}

stamp compacted(const stamp& x) noexcept {
  return {x.publisher & compact_publisher_mask, x.number & compact_number_mask, 0,
          x.conversation & compact_check_mask, true};
}

void add_stamp(std::string& out, const stamp& x, std::size_t bytes) {
  assert(bytes >= compact_stamp_bytes_min);
  const auto end = out.size() + bytes - 1;
  out.reserve(end + 1);
  out += '"';
  if (bytes < stamp_bytes_min) {
    add_digits(out, x.number & compact_number_mask, 4);
    add_digits(out, x.publisher & compact_publisher_mask, 2);
    add_digits(out, x.conversation & compact_check_mask, 2);
  } else {
    add_decimal(out, x.publisher);
    add_decimal(out, x.number);
    add_decimal(out, x.due_ns);
    for (unsigned shift = 32; shift > 0; shift -= 4)
      out += "0123456789abcdef"[(x.conversation >> (shift - 4)) & 15];
    out += '-';
  }
  out.resize(end, 'x');
  out += '"';
}

std::optional<stamp> parse_stamp(std::string_view payload) noexcept {
  if (payload.size() < compact_stamp_bytes_min || payload.front() != '"' || payload.back() != '"')
    return {};
  auto text = payload.substr(1, payload.size() - 2);
  return payload.size() < stamp_bytes_min ? parse_compact(text) : parse_full(text);
}

} // namespace confab::model
