#include "bench/quantity.hpp"

#include "net/wire/utf8.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <span>

namespace confab::bench {

namespace {

struct scale {
  std::string_view unit;
  double factor;
};

constexpr std::array times{scale{"ns", 1}, scale{"µs", 1e3}, scale{"ms", 1e6}, scale{"s", 1e9}};
constexpr std::array sizes{scale{"B", 1}, scale{"KiB", 1024.0}, scale{"MiB", 1024.0 * 1024},
                           scale{"GiB", 1024.0 * 1024 * 1024}};
constexpr std::array rates{scale{"/s", 1}, scale{"k/s", 1e3}, scale{"M/s", 1e6}, scale{"G/s", 1e9}};

/// The family that the unit is of, or nothing.
std::span<const scale> family_of(std::string_view unit) {
  for (std::span<const scale> family : {std::span<const scale>{times}, {sizes}, {rates}})
    for (const auto& x : family)
      if (x.unit == unit)
        return family;
  return {};
}

std::string grouped(std::string digits) {
  for (auto at = digits.size(); at > 3 && digits[at - 4] != '-';)
    digits.insert(at -= 3, ",");
  return digits;
}

std::string printed(const char* format, int precision, double value) {
  std::array<char, 64> text;
  auto n = std::snprintf(text.data(), text.size(), format, precision, value);
  return {text.data(), std::min(static_cast<std::size_t>(std::max(n, 0)), text.size() - 1)};
}

} // namespace

std::string readable(double value) {
  if (!std::isfinite(value))
    return "-";
  const auto size = std::abs(value);
  if (size >= 1e15)
    return printed("%.*g", 4, value);
  if (size >= 999.5 || value == std::trunc(value))
    return grouped(printed("%.*f", 0, value));
  if (size < 1e-4)
    return printed("%.*g", 3, value);
  // As many places as make three digits; the exponent of the rounded value, or 9.999 had four.
  const auto rounded = printed("%.*e", 2, value);
  int exponent = 0;
  auto digits = rounded.substr(rounded.find('e') + 1);
  digits.erase(0, digits.starts_with('+') ? 1 : 0);
  std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
  return printed("%.*f", std::max(2 - exponent, 0), value);
}

std::string readable(double value, std::string_view unit) {
  auto family = family_of(unit);
  if (!std::isfinite(value) || family.empty() || value == 0)
    return readable(value) + (unit.empty() || unit == "/s" ? "" : " ") + std::string{unit};
  auto given =
      std::find_if(family.begin(), family.end(), [&](const scale& x) { return x.unit == unit; });
  const auto base = value * given->factor;
  const auto* fitting = &family.front();
  for (const auto& x : family)
    // Rounded to three digits it is one of the larger unit.
    if (std::abs(base) >= x.factor * 0.9995)
      fitting = &x;
  auto text = readable(base / fitting->factor);
  return text + (fitting->unit == "/s" ? "" : " ") + std::string{fitting->unit};
}

std::string key_of(std::string_view name, std::string_view unit) {
  std::string key;
  auto add = [&](std::string_view text) {
    for (char c : text) {
      const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
      if (letter)
        key += c;
      else if (c >= 'A' && c <= 'Z')
        key += static_cast<char>(c - 'A' + 'a');
      else if (!key.empty() && key.back() != '_')
        key += '_';
    }
    while (key.ends_with('_'))
      key.pop_back();
  };
  add(name);
  if (!unit.empty()) {
    key += '_';
    if (unit == "µs")
      add("us");
    else if (unit.ends_with("/s"))
      add(std::string{unit.substr(0, unit.size() - 2)} + "_per_s");
    else
      add(unit == "%" ? "percent" : unit);
  }
  return key;
}

std::string json_number(double value) {
  if (!std::isfinite(value))
    return "null";
  std::array<char, 32> text;
  auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return {text.data(), end};
}

std::string printable(std::string_view text) {
  const bool whole = net::wire::valid_utf8(text);
  std::string out{text};
  for (auto& c : out) {
    auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || (!whole && byte >= 0x80))
      c = '?';
  }
  // U+0080 … U+009F, which terminals take for commands too.
  for (auto at = out.find('\xc2'); at != std::string::npos; at = out.find('\xc2', at + 1))
    if (static_cast<unsigned char>(out[at + 1]) < 0xa0)
      out.replace(at, 2, "?");
  return out;
}

std::size_t columns_of(std::string_view text) noexcept {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

} // namespace confab::bench
