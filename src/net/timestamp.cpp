#include "net/timestamp.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>

namespace confab::net {

namespace {

using namespace std::chrono;

/// Takes a number of exactly `digits` digits off the front.
std::optional<int> take_number(std::string_view& rest, std::size_t digits) {
  if (rest.size() < digits)
    return std::nullopt;
  int value = 0;
  for (char c : rest.substr(0, digits)) {
    if (c < '0' || c > '9')
      return std::nullopt;
    value = value * 10 + (c - '0');
  }
  rest.remove_prefix(digits);
  return value;
}

bool take(std::string_view& rest, char a, char b) {
  if (rest.empty() || (rest.front() != a && rest.front() != b))
    return false;
  rest.remove_prefix(1);
  return true;
}

std::optional<sys_days> take_date(std::string_view& rest) {
  auto y = take_number(rest, 4);
  if (!y || !take(rest, '-', '-'))
    return std::nullopt;
  auto m = take_number(rest, 2);
  if (!m || !take(rest, '-', '-'))
    return std::nullopt;
  auto d = take_number(rest, 2);
  if (!d)
    return std::nullopt;
  year_month_day date{year{*y}, month{static_cast<unsigned>(*m)}, day{static_cast<unsigned>(*d)}};
  return date.ok() ? std::optional{sys_days{date}} : std::nullopt;
}

/// `hh:mm`
std::optional<minutes> take_hours(std::string_view& rest) {
  auto h = take_number(rest, 2);
  if (!h || !take(rest, ':', ':'))
    return std::nullopt;
  auto m = take_number(rest, 2);
  if (!m || *h > 23 || *m > 59)
    return std::nullopt;
  return hours{*h} + minutes{*m};
}

std::optional<milliseconds> take_seconds(std::string_view& rest) {
  auto s = take_number(rest, 2);
  if (!s || *s > 60)
    return std::nullopt;
  milliseconds result = seconds{std::min(*s, 59)};
  if (!take(rest, '.', '.'))
    return result;
  auto digits = std::min(rest.find_first_not_of("0123456789"), rest.size());
  if (digits == 0 || digits > 9)
    return std::nullopt;
  auto kept = std::string{rest.substr(0, std::min<std::size_t>(digits, 3))};
  kept.resize(3, '0');
  rest.remove_prefix(digits);
  return result + milliseconds{std::stoi(kept)};
}

std::optional<minutes> take_zone(std::string_view& rest) {
  if (take(rest, 'Z', 'z'))
    return minutes{0};
  auto east = rest.starts_with('+');
  if (!take(rest, '+', '-'))
    return std::nullopt;
  auto offset = take_hours(rest);
  if (!offset)
    return std::nullopt;
  return east ? *offset : -*offset;
}

} // namespace

std::optional<std::int64_t> parse_timestamp(std::string_view text) {
  auto date = take_date(text);
  if (!date || !take(text, 'T', 't'))
    return std::nullopt;
  auto time = take_hours(text);
  if (!time || !take(text, ':', ':'))
    return std::nullopt;
  auto seconds = take_seconds(text);
  if (!seconds)
    return std::nullopt;
  auto zone = take_zone(text);
  if (!zone || !text.empty())
    return std::nullopt;
  return duration_cast<milliseconds>(date->time_since_epoch() + *time + *seconds - *zone).count();
}

std::string timestamp_text(std::int64_t ms) {
  sys_time<milliseconds> at{milliseconds{ms}};
  auto day_of = floor<days>(at);
  year_month_day date{day_of};
  hh_mm_ss time{at - day_of};
  std::array<char, 48> text;
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ",
                static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(time.hours().count()),
                static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()),
                static_cast<int>(time.subseconds().count()));
  return text.data();
}

} // namespace confab::net
