#include "model/placement.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

using namespace confab::model;

namespace {

conversation_name named(const std::string& text) {
  return *conversation_name::parse(text);
}

/// Incarnations that differ in their last characters alone, or in all.
std::vector<std::string> nodes(std::size_t n, std::uint64_t seed) {
  std::mt19937_64 random{seed};
  std::vector<std::string> all;
  for (std::size_t i = 0; i < n; ++i)
    all.push_back(seed == 0 ? "node" + std::to_string(i) : std::to_string(random()));
  return all;
}

/// Pearson's statistic of how many names each node is home of.
double chi_square(const std::map<std::string, std::size_t>& count_by_home, std::size_t nodes,
                  std::size_t names) {
  auto expected = static_cast<double>(names) / static_cast<double>(nodes);
  // Nodes without a name stand in no map.
  auto sum = static_cast<double>(nodes - count_by_home.size()) * expected;
  for (const auto& [home, count] : count_by_home)
    sum += std::pow(static_cast<double>(count) - expected, 2) / expected;
  return sum;
}

/// What chance exceeds once in 100,000 times (Wilson and Hilferty's approximation).
double chi_square_bound(std::size_t nodes) {
  auto freedom = static_cast<double>(nodes - 1);
  auto part = 2 / (9 * freedom);
  return freedom * std::pow(1 - part + 4.265 * std::sqrt(part), 3);
}

} // namespace

TEST_CASE("the home of a name is the same in every build and on every machine") {
  // From another implementation of the same functions. Other homes are another protocol between
  // nodes.
  placement five{{"0", "a1", "b2c3d4e5", "9f8e7d6c5b4a3928", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"}};
  const std::pair<std::string, std::string> homes[] = {
      {"a", "b2c3d4e5"},
      {"b", "b2c3d4e5"},
      {"room", "a1"},
      {"room/1", "b2c3d4e5"},
      {"room/2", "a1"},
      {"room/10", "a1"},
      {"user:ann@home", "0"},
      {std::string(256, 'x'), "0"},
      {"agent-1.answers/2026", "0"},
      {"A/B/C", "9f8e7d6c5b4a3928"},
      {"_", "b2c3d4e5"},
      {"chat:stream", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"},
  };
  for (const auto& [name, home] : homes)
    CHECK(five.home_of(named(name)) == home);
}

TEST_CASE("without nodes there is no home, and one node is home of everything") {
  CHECK(placement{}.home_of(named("room")).empty());
  CHECK(placement{std::vector<std::string>{}}.home_of(named("room")).empty());
  placement one{{"a1"}};
  for (int i = 0; i < 100; ++i)
    CHECK(one.home_of(named(std::to_string(i))) == "a1");
}

TEST_CASE("the order in which nodes are named does not matter, nor that one is named twice") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    auto all = nodes(9, seed);
    placement before{all};
    std::shuffle(all.begin(), all.end(), std::mt19937_64{seed});
    all.push_back(all.front());
    placement after{all};
    for (int i = 0; i < 200; ++i) {
      auto name = named("room/" + std::to_string(i));
      CHECK(before.home_of(name) == after.home_of(name));
    }
  }
}

TEST_CASE("3 to 16 nodes have equal shares of the names, as far as chance makes them equal") {
  constexpr std::size_t names = 20'000;
  for (std::uint64_t seed : {0, 1, 2})
    for (std::size_t n = 3; n <= 16; ++n) {
      CAPTURE(seed);
      CAPTURE(n);
      placement x{nodes(n, seed)};
      std::map<std::string, std::size_t> short_names, long_names;
      for (std::size_t i = 0; i < names; ++i) {
        ++short_names[x.home_of(named(std::to_string(i)))];
        ++long_names[x.home_of(named("tenant/" + std::to_string(i) + "/general-discussion"))];
      }
      CHECK(chi_square(short_names, n, names) < chi_square_bound(n));
      CHECK(chi_square(long_names, n, names) < chi_square_bound(n));
    }
}

TEST_CASE("a node that leaves moves its own names alone, and evenly to all others") {
  constexpr std::size_t names = 20'000;
  for (std::size_t n = 3; n <= 16; ++n) {
    CAPTURE(n);
    auto all = nodes(n, n);
    auto gone = all.back();
    placement before{all};
    all.pop_back();
    placement after{all};
    std::map<std::string, std::size_t> heirs;
    std::size_t moved = 0;
    for (std::size_t i = 0; i < names; ++i) {
      auto name = named("room/" + std::to_string(i));
      if (before.home_of(name) == gone) {
        ++moved;
        ++heirs[after.home_of(name)];
      } else {
        CHECK(before.home_of(name) == after.home_of(name));
      }
    }
    CHECK(chi_square(heirs, n - 1, moved) < chi_square_bound(n - 1));
  }
}

TEST_CASE("a node that joins takes its share, and no name moves between the others") {
  constexpr std::size_t names = 20'000;
  for (std::size_t n = 1; n <= 16; ++n) {
    CAPTURE(n);
    auto all = nodes(n, n);
    placement before{all};
    all.emplace_back("newcomer");
    placement after{all};
    double taken = 0;
    for (std::size_t i = 0; i < names; ++i) {
      auto name = named("room/" + std::to_string(i));
      if (after.home_of(name) == "newcomer")
        ++taken;
      else
        CHECK(before.home_of(name) == after.home_of(name));
    }
    // 4.3 standard deviations of a binomial distribution.
    auto share = 1.0 / static_cast<double>(n + 1);
    auto width = 4.3 * std::sqrt(names * share * (1 - share));
    CHECK(std::abs(taken - names * share) < width);
  }
}

TEST_CASE("an incarnation is 1 to 32 digits and small letters") {
  for (const auto* text : {"0", "a1", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"})
    CHECK(valid_incarnation(text));
  for (const auto* text :
       {"", "A", "a-b", "a b", "\xc3\xa4", "a\n", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"})
    CHECK_FALSE(valid_incarnation(text));
}

TEST_CASE("an endpoint is an address and a port as URLs have them") {
  CHECK(endpoint("127.0.0.1", 80) == "127.0.0.1:80");
  CHECK(endpoint("node-1.example.org", 7'000) == "node-1.example.org:7000");
  CHECK(endpoint("::1", 65'535) == "[::1]:65535");
}
