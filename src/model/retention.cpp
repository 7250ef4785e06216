#include "model/retention.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace confab::model {

namespace {

struct unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr std::array age_units{
    unit{"ms", 1}, unit{"s", 1000}, unit{"m", 60'000}, unit{"h", 3'600'000}, unit{"d", 86'400'000},
};
constexpr std::array byte_units{
    unit{"", 1},
    unit{"KiB", 1024},
    unit{"MiB", 1024 * 1024},
    unit{"GiB", 1024 * 1024 * 1024},
};
constexpr std::array count_units{unit{"", 1}};

std::vector<std::string_view> words_of(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  std::vector<std::string_view> words;
  for (auto begin = text.find_first_not_of(blanks); begin != std::string_view::npos;) {
    auto end = std::min(text.find_first_of(blanks, begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(blanks, end);
  }
  return words;
}

/// `-` and `0` are "no limit", which is 0. Empty: not a number with one of the units.
std::optional<std::uint64_t> parse_limit(std::string_view word, std::span<const unit> units) {
  if (word == "-" || word == "0")
    return 0;
  std::uint64_t number = 0;
  auto [end, failure] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (failure != std::errc{})
    return std::nullopt;
  auto name = word.substr(static_cast<std::size_t>(end - word.data()));
  auto found =
      std::find_if(units.begin(), units.end(), [&](const unit& x) { return x.name == name; });
  // Half the range, so that sums with a clock cannot wrap.
  constexpr auto limit_max = std::numeric_limits<std::uint64_t>::max() / 2;
  if (found == units.end() || number > limit_max / found->factor)
    return std::nullopt;
  return number * found->factor;
}

error bad_rule(std::size_t number, std::string_view rule, const std::string& why) {
  return {code::bad_request, "store.retention: rule " + std::to_string(number) + " ('" +
                                 std::string{rule} + "'): " + why};
}

result<retention_rule> parse_rule(std::string_view text, std::size_t number) {
  auto words = words_of(text);
  if (words.size() != 4)
    return bad_rule(number, text,
                    "has " + std::to_string(words.size()) +
                        " fields; needed are pattern, max_age, max_entries and max_bytes");
  auto age = parse_limit(words[1], age_units);
  if (!age)
    return bad_rule(number, text, "max_age is not '-' or a number with ms, s, m, h or d");
  auto entries = parse_limit(words[2], count_units);
  if (!entries)
    return bad_rule(number, text, "max_entries is not '-' or a number");
  auto bytes = parse_limit(words[3], byte_units);
  if (!bytes)
    return bad_rule(number, text, "max_bytes is not '-' or a number, also with KiB, MiB or GiB");
  return retention_rule{std::string{words[0]}, *age, *entries, *bytes};
}

} // namespace

result<std::vector<retention_rule>> parse_retention(std::string_view text) {
  std::vector<retention_rule> rules;
  if (words_of(text).empty())
    return rules;
  for (std::size_t begin = 0; begin <= text.size();) {
    auto end = std::min(text.find(',', begin), text.size());
    auto rule = parse_rule(text.substr(begin, end - begin), rules.size() + 1);
    if (!rule)
      return rule.why();
    rules.push_back(std::move(*rule));
    begin = end + 1;
  }
  return rules;
}

bool matches(std::string_view pattern, std::string_view name) noexcept {
  // Where to go on when what follows the last `*` does not fit: let that `*` take one byte more.
  auto star = std::string_view::npos;
  std::size_t taken = 0;
  std::size_t p = 0;
  std::size_t n = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++taken;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

const retention_rule* rule_for(std::span<const retention_rule> rules,
                               std::string_view name) noexcept {
  auto found = std::find_if(rules.begin(), rules.end(),
                            [&](const retention_rule& x) { return matches(x.pattern, name); });
  return found == rules.end() ? nullptr : &*found;
}

seq retained_from(const retention_rule& rule, seq first, seq tail, std::int64_t now_ms,
                  const std::function<retention_mark(seq)>& mark) {
  auto low = first.value;
  auto high = tail.value + 1;
  if (low >= high)
    return first;
  if (rule.entries_max != 0 && high - low > rule.entries_max)
    low = high - rule.entries_max;
  if (rule.age_ms_max == 0 && rule.bytes_max == 0)
    return {low};

  auto now = now_ms > 0 ? static_cast<std::uint64_t>(now_ms) : 0;
  auto through_tail = rule.bytes_max == 0 ? 0 : mark(tail).bytes_through;
  // Both limits only get easier to meet as seq rises: ids and totals rise with it.
  auto within = [&](std::uint64_t at) {
    if (rule.bytes_max != 0 && through_tail - mark({at - 1}).bytes_through > rule.bytes_max)
      return false;
    return rule.age_ms_max == 0 || mark({at}).ms + rule.age_ms_max >= now;
  };
  // Mostly nothing is to be cut.
  if (within(low))
    return {low};
  // Not within at low; within at high, where nothing is left.
  while (high - low > 1) {
    auto middle = low + (high - low) / 2;
    (within(middle) ? high : low) = middle;
  }
  return {high};
}

} // namespace confab::model
