// Copies of streams, while answers are lost, the log refuses, copiers end and rival, and streams
// are trimmed or set back.
#include "actors/stream_copier.hpp"
#include "support/actor_bed.hpp"
#include "support/fake_streams.hpp"
#include "support/silenced_log.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace confab;
using namespace confab::test;

namespace {

constexpr const char* own = "us";

model::conversation_name named(const std::string& x) {
  return *model::conversation_name::parse(x);
}

struct copier_bed : actor_bed {
  silenced_log quiet;
  ~copier_bed() {
    for (auto& x : copiers)
      end(x);
    run();
  }

  std::shared_ptr<fake_source> source = std::make_shared<fake_source>();
  std::vector<actors::stream_copier_actor> copiers;
  bool import_all = true;
  std::int64_t since_ms = 0;

  actors::stream_copier_actor start() {
    auto made = system.system.spawn(actors::stream_copier,
                                    actors::copier_options{.streams = source,
                                                           .import_all = import_all,
                                                           .reconcile_ms = 5'000,
                                                           .origin = own,
                                                           .since_ms = since_ms},
                                    writer, pool(), &env);
    caf::anon_send(made, actors::atom::open::value, directory);
    copiers.push_back(made);
    return made;
  }
  static void end(const actors::stream_copier_actor& x) {
    caf::anon_send_exit(x, caf::exit_reason::user_shutdown);
  }
  void wake(const model::conversation_name& x) {
    for (const auto& y : copiers)
      caf::anon_send(y, actors::atom::wake::value, x);
  }
  /// In steps that let every timer have its turn.
  void live(std::int64_t ms) {
    for (; ms > 0; ms -= 50)
      advance(50);
  }
  /// Nothing is wrong any more, and all have had the time to find out.
  void settle(const std::vector<model::conversation_name>& names) {
    source->troubles = {};
    log->script.clear();
    for (int i = 0; i < 4; ++i) {
      for (const auto& x : names)
        wake(x);
      run();
      advance(61'000);
    }
  }
  std::vector<model::entry> entries(const model::conversation_name& x) {
    return (*store->reader())->page(x, {1}, {1000})->entries;
  }
};

/// What was ever added to a stream, by its id.
struct history {
  struct added {
    std::uint64_t place;
    bool own;
  };
  std::map<model::entry_id, added> by_id;
  std::uint64_t last = 0;

  void add(model::entry_id id, bool is_own) { by_id[id] = {++last, is_own}; }
  /// Whether those behind `from`, before `to`, are all our own.
  [[nodiscard]] bool only_own(std::uint64_t from, std::uint64_t to) const {
    return std::all_of(by_id.begin(), by_id.end(), [&](const auto& x) {
      return x.second.place <= from || x.second.place >= to || x.second.own;
    });
  }
};

/// Each entry of others is in the log once, in order, or counted as missing at its place.
void check_accounted(const std::vector<model::entry>& log, const history& all) {
  std::uint64_t place = 0;
  for (const auto& x : log) {
    CAPTURE(x.payload);
    if (x.kind == model::gap_kind) {
      auto gap = nlohmann::json::parse(x.payload);
      REQUIRE(gap["reason"] == "trimmed");
      if (gap.contains("after")) {
        auto after = all.by_id.at(*model::parse_entry_id(gap["after"].get<std::string>())).place;
        REQUIRE(all.only_own(place, after + 1));
        place = after;
      }
      place += gap["missing"].get<std::uint64_t>();
      continue;
    }
    const auto& found = all.by_id.at(*model::parse_entry_id(x.source_id));
    REQUIRE_FALSE(found.own);
    REQUIRE(found.place > place);
    REQUIRE(all.only_own(place, found.place));
    place = found.place;
  }
  CHECK(all.only_own(place, all.last + 1));
}

} // namespace

TEST_CASE_FIXTURE(copier_bed, "a wake-up is answered when what the stream held is in the log") {
  auto copier = start();
  source->add(room(), "1");
  source->add(room(), "2");
  log->script = {model::error{model::code::store_failed, "test"}};
  caf::scoped_actor self{system.system};
  auto asked = self->request(copier, caf::infinite, actors::atom::wake::value, room());
  run();
  CHECK(logged(room()).empty());
  advance(1'000);
  auto answered = false;
  asked.receive([&](bool x) { answered = x; }, [](const caf::error&) {});
  CHECK(answered);
  CHECK(logged(room()) == "1 2");
  CHECK(env.counted.copied_entries.value() == 2);
  CHECK(env.counted.copy_rests.value() == 1);
}

TEST_CASE_FIXTURE(copier_bed, "our own entries are passed over, and nothing is written for them") {
  start();
  source->add(room(), "1");
  source->add(room(), "mine", own);
  wake(room());
  run();
  CHECK(logged(room()) == "1");
  for (int i = 0; i < 20; ++i)
    source->add(room(), "mine", own);
  source->add(room(), "2");
  wake(room());
  run();
  CHECK(logged(room()) == "1 2");
}

TEST_CASE_FIXTURE(copier_bed, "a stream longer than a look is read to its end") {
  start();
  for (int i = 0; i < 700; ++i)
    source->add(room(), std::to_string(i));
  wake(room());
  run();
  CHECK(entries(room()).size() == 700);
}

TEST_CASE_FIXTURE(copier_bed, "what was there before this log was bridged is not taken") {
  import_all = false;
  since_ms = 1004; // the fourth entry
  start();
  for (int i = 1; i <= 5; ++i)
    source->add(room(), std::to_string(i));
  wake(room());
  run();
  CHECK(logged(room()) == "4 5");
}

TEST_CASE_FIXTURE(copier_bed, "of a watched stream the end is found without a wake-up, also when "
                              "Redis was away meanwhile") {
  auto copier = start();
  caf::anon_send(copier, actors::atom::watch::value, room(), true);
  source->add(room(), "1");
  live(6'000);
  CHECK(logged(room()) == "1");
  source->troubles.away = true;
  source->add(room(), "2");
  live(6'000);
  CHECK(logged(room()) == "1");
  CHECK_FALSE(env.redis_health.trouble().empty());
  source->troubles.away = false;
  live(6'000);
  CHECK(logged(room()) == "1 2");
  CHECK(env.redis_health.trouble().empty());
}

TEST_CASE(
    "whatever is lost on the way, each entry is copied once, in order, or counted as missing") {
  using what = fake_troubles::what;
  for (unsigned seed = 0; seed < 60; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    copier_bed bed;
    std::vector<model::conversation_name> names{named("a"), named("b")};
    std::map<model::conversation_name, history> histories;
    bed.source->entries_max = 1 + random() % 20;
    bed.start();
    if (seed % 2 == 1)
      bed.start(); // a rival
    for (int step = 0; step < 120; ++step) {
      const auto& of = names[random() % names.size()];
      switch (random() % 12) {
      case 0:
        bed.source->trim(of, random() % 6);
        break;
      case 1:
        bed.source->troubles.next.push_back(random() % 2 == 0 ? what::refused : what::lost);
        break;
      case 2:
        bed.source->troubles.away = !bed.source->troubles.away;
        break;
      case 3:
        bed.log->script.push_back(model::error{model::code::store_failed, "test"});
        break;
      case 4:
        bed.log->script.push_back(
            model::error{model::code::append_unknown, random() % 2 == 0 ? "" : committed_anyway});
        break;
      case 5:
        copier_bed::end(bed.copiers.front());
        bed.copiers.erase(bed.copiers.begin());
        bed.start();
        break;
      case 6:
        bed.advance(static_cast<std::int64_t>(random() % 2'000));
        break;
      default: {
        auto is_own = random() % 3 == 0;
        histories[of].add(bed.source->add(of, std::to_string(step), is_own ? own : ""), is_own);
        if (random() % 2 == 0)
          bed.wake(of);
      }
      }
      for (auto n = random() % 6; n > 0; --n)
        bed.system.step([&](std::size_t of_them) { return random() % of_them; });
    }
    for (const auto& x : names)
      histories[x].add(bed.source->add(x, "last"), false);
    bed.settle(names);
    for (const auto& x : names) {
      CAPTURE(x.text());
      check_accounted(bed.entries(x), histories[x]);
    }
  }
}

TEST_CASE("a stream that was set back, or made anew, is copied whole, and nothing of it twice") {
  for (unsigned seed = 0; seed < 60; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    copier_bed bed;
    auto of = bed.room();
    bed.source->entries_max = 1 + random() % 20;
    bed.start();
    auto older = bed.source->streams;
    std::size_t losses = 0;
    for (int step = 0; step < 100; ++step) {
      switch (random() % 20) {
      case 0:
        older = bed.source->streams;
        break;
      case 1:
        bed.source->streams = random() % 4 == 0 ? decltype(older){} : older;
        bed.source->run += 'x';
        ++losses;
        break;
      case 2:
        bed.log->script.push_back(model::error{model::code::append_unknown, committed_anyway});
        break;
      case 3:
        copier_bed::end(bed.copiers.front());
        bed.copiers.clear();
        bed.start();
        break;
      default:
        bed.source->add(of, std::to_string(step));
        bed.wake(of);
      }
      for (auto n = random() % 12; n > 0; --n)
        bed.system.step([&](std::size_t of_them) { return random() % of_them; });
    }
    bed.source->add(of, "last");
    bed.settle({of});
    std::map<std::string, int> copies;
    std::size_t lost = 0;
    for (const auto& x : bed.entries(of))
      if (x.kind == model::gap_kind)
        lost += x.payload.find("lost") != std::string::npos ? 1 : 0;
      else
        ++copies[x.source_id];
    CHECK(lost <= losses);
    for (const auto& [id, count] : copies) {
      CAPTURE(id);
      CHECK(count == 1);
    }
    for (const auto& x : bed.source->streams[of].entries) {
      CAPTURE(x.id);
      CHECK(copies.contains(x.id));
    }
  }
}
