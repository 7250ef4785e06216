#include "model/retention.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using namespace confab::model;

TEST_CASE("a rule is a pattern and three limits, each of which may be none") {
  auto rules = parse_retention("room:* 30d - -, log/* - 10000 64MiB ,x 1500ms 0 7");
  REQUIRE(rules);
  REQUIRE(rules->size() == 3);
  CHECK((*rules)[0].pattern == "room:*");
  CHECK((*rules)[0].age_ms_max == 30ull * 86'400'000);
  CHECK((*rules)[0].entries_max == 0);
  CHECK((*rules)[0].bytes_max == 0);
  CHECK((*rules)[1].age_ms_max == 0);
  CHECK((*rules)[1].entries_max == 10'000);
  CHECK((*rules)[1].bytes_max == 64ull << 20);
  CHECK((*rules)[2].age_ms_max == 1500);
  CHECK((*rules)[2].bytes_max == 7);
  CHECK(parse_retention("a 1s - -, b 2m - -, c 3h - -, d - - 1GiB")->size() == 4);
  CHECK(parse_retention("")->empty());
  CHECK(parse_retention("  ")->empty());
}

TEST_CASE("a rule that is none is refused with its number and field") {
  auto why = [](const char* text) {
    auto rules = parse_retention(text);
    REQUIRE_FALSE(rules);
    CHECK(rules.why().what == code::bad_request);
    return rules.why().detail;
  };
  CHECK(why("a 1d - -, b 1d -").find("rule 2") != std::string::npos);
  CHECK(why("a 30 - -").find("max_age") != std::string::npos);
  CHECK(why("a 30w - -").find("max_age") != std::string::npos);
  CHECK(why("a -1d - -").find("max_age") != std::string::npos);
  CHECK(why("a - 1KiB -").find("max_entries") != std::string::npos);
  CHECK(why("a - - 1MB").find("max_bytes") != std::string::npos);
  CHECK(why("a 99999999999999999d - -").find("max_age") != std::string::npos);
  CHECK(why("a - 99999999999999999999 -").find("max_entries") != std::string::npos);
  CHECK(why("a - 1 -,").find("rule 2") != std::string::npos);
}

TEST_CASE("a star stands for any bytes, also none; everything else for itself") {
  CHECK(matches("*", ""));
  CHECK(matches("*", "a/b"));
  CHECK(matches("room:*", "room:"));
  CHECK(matches("room:*", "room:1"));
  CHECK_FALSE(matches("room:*", "xroom:1"));
  CHECK_FALSE(matches("room:*", "room"));
  CHECK(matches("*:x", "a:x:x"));
  CHECK_FALSE(matches("*:x", "a:x:y"));
  CHECK(matches("a*b*c", "a--b-b--c"));
  CHECK_FALSE(matches("a*b*c", "a--c--b"));
  CHECK(matches("a.b", "a.b"));
  CHECK_FALSE(matches("a.b", "axb"));
  CHECK_FALSE(matches("", "a"));
  // Would take years if each star multiplied the work.
  CHECK_FALSE(matches("*a*a*a*a*a*a*a*a*b", std::string(256, 'a')));
}

TEST_CASE("the first rule that matches decides") {
  auto rules = *parse_retention("a:keep - - -, a:* - 1 -");
  CHECK(rule_for(rules, "a:keep") == &rules[0]);
  CHECK(rule_for(rules, "a:x") == &rules[1]);
  CHECK(rule_for(rules, "b") == nullptr);
}

namespace {

struct sample_log {
  std::uint64_t first = 1;
  /// Of first - 1, first, ..., tail.
  std::vector<retention_mark> marks;

  [[nodiscard]] std::uint64_t tail() const { return first + marks.size() - 2; }
};

/// What retained_from says, counting its questions.
seq cut(const sample_log& x, const retention_rule& rule, std::int64_t now, int* asked = nullptr) {
  return retained_from(rule, {x.first}, {x.tail()}, now, [&](seq at) {
    REQUIRE(at.value + 1 >= x.first);
    REQUIRE(at.value <= x.tail());
    if (asked != nullptr)
      ++*asked;
    return x.marks[at.value - (x.first - 1)];
  });
}

/// The definition, entry by entry.
std::uint64_t cut_slowly(const sample_log& x, const retention_rule& rule, std::uint64_t now) {
  for (auto from = x.first; from <= x.tail(); ++from) {
    auto mark = [&](std::uint64_t at) { return x.marks[at - (x.first - 1)]; };
    bool fits = rule.entries_max == 0 || x.tail() - from + 1 <= rule.entries_max;
    auto bytes = mark(x.tail()).bytes_through - mark(from - 1).bytes_through;
    fits = fits && (rule.bytes_max == 0 || bytes <= rule.bytes_max);
    fits = fits && (rule.age_ms_max == 0 || mark(from).ms + rule.age_ms_max >= now);
    if (fits)
      return from;
  }
  return x.tail() + 1;
}

} // namespace

TEST_CASE("an empty log, and one without limits, keep what they have") {
  CHECK(cut({5, {{0, 0}}}, {"*", 1, 1, 1}, 1000) == seq{5});
  CHECK(cut({5, {{0, 0}, {1, 10}}}, {"*", 0, 0, 0}, 1000) == seq{5});
}

TEST_CASE(
    "an entry heavier than the limit is not kept, and a clock before the entries cuts nothing") {
  CHECK(cut({1, {{0, 0}, {5, 100}}}, {"*", 0, 0, 99}, 1000) == seq{2});
  CHECK(cut({1, {{0, 0}, {5, 100}}}, {"*", 0, 0, 100}, 1000) == seq{1});
  CHECK(cut({1, {{0, 0}, {5000, 100}}}, {"*", 10, 0, 0}, -7) == seq{1});
}

TEST_CASE(
    "the cut is the smallest seq from which on all is within every limit, found in few questions") {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    auto below = [&](std::uint64_t n) { return random() % n; };
    sample_log x{1 + below(1000), {{below(100), below(1000)}}};
    for (auto n = below(200); n > 0; --n)
      x.marks.push_back(
          {x.marks.back().ms + below(50), x.marks.back().bytes_through + 64 + below(300)});
    retention_rule rule{"*", below(2) * (1 + below(6000)), below(2) * (1 + below(220)),
                        below(2) * (1 + below(40'000))};
    auto now = static_cast<std::int64_t>(below(12'000));
    int asked = 0;
    CHECK(cut(x, rule, now, &asked).value == cut_slowly(x, rule, static_cast<std::uint64_t>(now)));
    CHECK(asked <= 24);
  }
}
