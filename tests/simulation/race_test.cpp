// The race itself (issue 2, part 3): each reader sees 1, 2, 3 … once, whatever happens in whatever
// order.
#include "simulation/world.hpp"

#include <doctest/doctest.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <cstdlib>

using namespace confab;

namespace {

/// CONFAB_SEEDS says how many; CONFAB_SEED says which one alone; CONFAB_TRACE shows what happens in
/// it.
std::uint32_t from_environment(const char* name, std::uint32_t otherwise) {
  const auto* text = std::getenv(name);
  return text == nullptr ? otherwise : static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10));
}

/// Simulated faults are no news.
struct quiet_log {
  spdlog::level::level_enum level = spdlog::get_level();
  quiet_log() { spdlog::set_level(spdlog::level::off); }
  ~quiet_log() { spdlog::set_level(level); }
};

} // namespace

namespace {

void each_reader_sees_each_entry_once(const test::world_options& how, std::uint32_t seeds) {
  quiet_log quiet;
  auto only = from_environment("CONFAB_SEED", 0);
  auto begin = only > 0 ? only : 1;
  auto end = only > 0 ? only : from_environment("CONFAB_SEEDS", seeds);
  std::size_t entries = 0;
  for (auto seed = begin; seed <= end; ++seed) {
    CAPTURE(seed); // to run it alone: CONFAB_SEED
    test::world w{seed, how};
    if (std::getenv("CONFAB_TRACE") != nullptr)
      w.truth().trace = [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); };
    auto fault = w.run();
    entries += w.entries_seen();
    REQUIRE_MESSAGE(fault.empty(), fault);
  }
  // A simulation in which nothing is delivered proves nothing.
  CHECK(entries > (end - begin + 1) * 5);
}

} // namespace

TEST_CASE("each reader sees 1, 2, 3 … once, for every order of events") {
  each_reader_sees_each_entry_once({}, 10'000);
}

TEST_CASE("each reader of two nodes sees 1, 2, 3 … once, whoever the home is and what gets lost") {
  each_reader_sees_each_entry_once({.nodes = 2}, 10'000);
}

TEST_CASE(
    "each reader of three nodes sees 1, 2, 3 … once, whoever the home is and what gets lost") {
  each_reader_sees_each_entry_once({.nodes = 3}, 3'000);
}

TEST_CASE("each reader of two nodes that know nothing of each other sees 1, 2, 3 … once") {
  each_reader_sees_each_entry_once({.nodes = 2, .cluster = false}, 5'000);
}
