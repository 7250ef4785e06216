#include "model/entry.hpp"

#include <charconv>
#include <cstdio>

namespace confab::model {

namespace {

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  if (text.empty() || text.front() == '+')
    return std::nullopt;
  auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{} || end != text.data() + text.size() ||
      value > (~std::uint64_t{0} >> 1))
    return std::nullopt;
  return value;
}

} // namespace

std::string to_string(entry_id x) {
  return std::to_string(x.ms) + '-' + std::to_string(x.n);
}

std::optional<entry_id> parse_entry_id(std::string_view text) {
  auto dash = text.find('-');
  if (dash == std::string_view::npos)
    return std::nullopt;
  auto ms = parse_number(text.substr(0, dash));
  auto n = parse_number(text.substr(dash + 1));
  if (!ms || !n)
    return std::nullopt;
  return entry_id{*ms, *n};
}

entry_id next_id(entry_id last, std::int64_t now_ms) noexcept {
  auto now = now_ms > 0 ? static_cast<std::uint64_t>(now_ms) : 0;
  if (now > last.ms)
    return {now, 0};
  return {last.ms, last.n + 1};
}

std::optional<epoch> parse_epoch(std::string_view text) {
  if (text.empty() || text.size() > 32)
    return std::nullopt;
  for (char c : text)
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.'))
      return std::nullopt;
  return epoch{std::string{text}};
}

std::string to_string(const position& x) {
  char digits[24];
  std::snprintf(digits, sizeof digits, "%016llu", static_cast<unsigned long long>(x.at.value));
  return std::string{digits} + '_' + x.epoch.text + '_' + to_string(x.id);
}

std::optional<position> parse_position(std::string_view text) {
  auto first = text.find('_');
  auto last = text.rfind('_');
  if (first != 16 || last == first || last == std::string_view::npos)
    return std::nullopt;
  auto at = parse_number(text.substr(0, first));
  auto token = text.substr(first + 1, last - first - 1);
  auto id = parse_entry_id(text.substr(last + 1));
  if (!at || *at > seq_max.value || !id)
    return std::nullopt;
  if (token.empty())
    return position{{}, {*at}, *id};
  auto parsed = parse_epoch(token);
  if (!parsed)
    return std::nullopt;
  return position{*parsed, {*at}, *id};
}

std::size_t weight(const entry& x) noexcept {
  // The fixed part stands for the object, its allocation and its place in a ring.
  return 64 + x.sender.size() + x.kind.size() + x.payload.size() + x.producer.size() +
         x.message.size() + x.source_id.size();
}

std::size_t batch::bytes() const noexcept {
  std::size_t sum = producer.size() + where.stream_seq.size() + 64;
  for (const auto& x : drafts)
    sum += 64 + x.sender.size() + x.kind.size() + x.payload.size() + x.message.size() +
           x.source_id.size();
  return sum;
}

} // namespace confab::model
