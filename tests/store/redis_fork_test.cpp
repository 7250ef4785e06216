// What forks in the log on Redis promise beyond the shared suite: others add to them and trim their
// sources, and rules of retention count for both.
#include "store/log_check.hpp"
#include "store/redis_bed.hpp"

#include <array>
#include <chrono>
#include <random>
#include <thread>

using namespace confab;
using namespace confab::test;
using model::code;

TEST_CASE_FIXTURE(redis_fork_bed, "what others XADD to a fork stands behind what it shares") {
  say("s", {"1", "2", "3"});
  fork("f", "s", 2);
  add("f", "70");
  CHECK(bed->payloads("f") == payloads{"1", "2", "70"});
  add("s", "4");
  open_again();
  add("f", "71");
  CHECK(bed->payloads("f") == payloads{"1", "2", "70", "71"});
  say("f", {"72"});
  CHECK(bed->state("f").tail == model::seq{5});
  auto heads = bed->writer->look(std::vector{named("f")}, noon_ms);
  REQUIRE(heads[0]);
  CHECK(heads[0]->state == bed->state("f"));
  whole("f");
  // Their stream was there first.
  add("old", "86");
  CHECK(refusal("old", fork_of("s")) == code::conflict);
  // What others added to a source is shared like the rest.
  fork("g", "s");
  CHECK(bed->payloads("g") == payloads{"1", "2", "3", "4"});
}

TEST_CASE_FIXTURE(redis_fork_bed, "receipts and numbers of a fork are its own, whoever else adds") {
  say("s", {"1", "2"});
  auto log = fork("f", "s").state;
  add("f", "70");
  auto late = chain_behind("f", log, {batch{{"4"}, "p", 1}, batch{{"5", "6"}, "p", 2}});
  auto outcome = bed->commit({late}).front();
  REQUIRE_FALSE(outcome.failure);
  REQUIRE(outcome.landed.size() == 2);
  CHECK(outcome.landed[0].first == model::seq{4});
  CHECK(outcome.landed[1].first == model::seq{5});
  open_again();
  auto again = bed->commit({late}).front();
  REQUIRE(again.landed.size() == 2);
  CHECK(again.landed[1].duplicate);
  CHECK(again.landed[1].first == model::seq{5});
  CHECK(bed->payloads("f") == payloads{"1", "2", "70", "4", "5", "6"});
  // A cursor on what is shared.
  store::cursor_key key{"u", "c", named("f")};
  REQUIRE(bed->writer->move_cursors(std::vector{store::cursor_move{key, log.epoch, {1}}}, noon_ms));
  auto cursor = bed->reader->cursor(key, noon_ms);
  REQUIRE((cursor && *cursor));
  CHECK((*cursor)->id == bed->page("s").entries[0].id);
}

TEST_CASE_FIXTURE(redis_fork_bed,
                  "who has not heard that a source was deleted appends nothing to it") {
  say("s", {"1"});
  fork("f", "s");
  say("s", {"2"});
  auto log = bed->state("s");
  auto opened = store::open_redis(log_options(redis));
  REQUIRE(opened);
  store_bed elsewhere{std::move(*opened)};
  REQUIRE(elsewhere.writer->remove(named("s")));
  for (auto number : {1U, 2U}) {
    auto late = bed->commit({chain_behind("s", log, {batch{{"3"}, "p", number}})}).front();
    REQUIRE(late.failure);
    CHECK(late.failure->what == code::gone);
  }
  CHECK(redis.ask({"XLEN", stream_named("s")}).number == 2);
}

TEST_CASE_FIXTURE(redis_fork_bed,
                  "a look tells what others have closed, or deleted and kept for its forks") {
  say("closed", {"1"});
  say("s", {"1"});
  fork("f", "s");
  auto names = std::vector{named("closed"), named("s")};
  auto opened = store::open_redis(log_options(redis));
  REQUIRE(opened);
  store_bed elsewhere{std::move(*opened)};
  auto heads = bed->writer->look(names, noon_ms);
  CHECK(heads[0]->state.life == model::lifecycle::open);
  CHECK(heads[1]->state.tail == model::seq{1});
  REQUIRE(elsewhere.writer->close(named("closed")));
  REQUIRE(elsewhere.writer->remove(named("s")));
  heads = bed->writer->look(names, noon_ms);
  REQUIRE(heads[0]);
  CHECK(heads[0]->state.life == model::lifecycle::closed);
  REQUIRE(heads[1]);
  CHECK(heads[1]->gone);
}

TEST_CASE("a fork without entries of its own outlives a restart of Redis") {
  redis_fork_bed b{{"appendonly yes", "aof-use-rdb-preamble no"}};
  b.say("s", {"1", "2"});
  auto log = b.fork("f", "s").state;
  for (const std::string from : {"a snapshot", "the commands", "the commands of a rewrite"}) {
    CAPTURE(from);
    if (from == "the commands of a rewrite") {
      b.redis.ask({"BGREWRITEAOF"});
      // Redis tells of its end in no other way.
      auto rewrites = [&] {
        return b.redis.ask({"INFO", "persistence"}).text.find("aof_rewrite_in_progress:1") !=
               std::string::npos;
      };
      for (int tries = 0; rewrites(); ++tries) {
        REQUIRE(tries < 6'000);
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
      }
    }
    b.redis.ask({"DEBUG", from == "a snapshot" ? "RELOAD" : "LOADAOF"});
    b.open_again();
    CHECK(b.bed->state("f") == log);
    CHECK(b.bed->payloads("f") == payloads{"1", "2"});
  }
  b.say("f", {"3"});
  CHECK(b.bed->state("f").epoch == log.epoch);
  CHECK(b.bed->state("f").tail == model::seq{3});
}

TEST_CASE_FIXTURE(redis_fork_bed, "what others trim from a source its forks do not have either") {
  say("s", {"1", "2", "3", "4", "5"});
  fork("all", "s");
  auto two = fork("two", "s", 2).state;
  say("two", {"86"});
  fork("deep", "two");
  redis.ask({"XTRIM", stream_named("s"), "MAXLEN", "4"});
  CHECK(bed->state("two").first == model::seq{2});
  CHECK(bed->payloads("two") == payloads{"2", "86"});
  CHECK(bed->payloads("deep") == payloads{"2", "86"});
  redis.ask({"XTRIM", stream_named("s"), "MAXLEN", "1"});
  CHECK(bed->payloads("all") == payloads{"5"});
  CHECK(bed->payloads("two") == payloads{"86"});
  CHECK(bed->state("two").first == model::seq{3});
  CHECK(bed->state("two").epoch == two.epoch);
  for (const auto* name : {"all", "two", "deep"})
    whole(name);
  // Where the last entry that is shared is not known any more.
  auto made = fork("edge", "s", 4);
  CHECK(made.state.tail == model::seq{4});
  CHECK(made.state.first == model::seq{5});
  say("edge", {"83"});
  CHECK(bed->payloads("edge") == payloads{"83"});
  CHECK(refusal("late", fork_of("s", 3)) == code::bad_request);
  // Of the fork's own entries.
  redis.ask({"XTRIM", stream_named("two"), "MAXLEN", "0"});
  CHECK(bed->page("two").entries.empty());
  CHECK(bed->state("two").first == model::seq{4});
  CHECK(bed->payloads("deep").empty());
  redis.ask({"XTRIM", stream_named("s"), "MAXLEN", "0"});
  CHECK(bed->payloads("all").empty());
  say("all", {"6"});
  CHECK(bed->payloads("all") == payloads{"6"});
}

TEST_CASE_FIXTURE(redis_fork_bed, "32 forks stand in a row, and one more is refused") {
  say("0", {"0"});
  for (int i = 1; i <= 32; ++i) {
    fork(std::to_string(i), std::to_string(i - 1));
    say(std::to_string(i), {std::to_string(i)});
  }
  CHECK(refusal("33", fork_of("32")) == code::conflict);
  open_again();
  auto page = bed->page("32");
  REQUIRE(page.entries.size() == 33);
  for (std::uint64_t i = 0; i <= 32; ++i)
    CHECK(page.entries[i].payload == std::to_string(i));
  whole("32");
  for (int i = 0; i < 32; ++i)
    REQUIRE(bed->writer->remove(named(std::to_string(i))));
  CHECK(bed->payloads("32").size() == 33);
  REQUIRE(bed->writer->remove(named("32")));
  CHECK(redis.ask({"KEYS", "*"}).elements.size() == 2);
}

TEST_CASE_FIXTURE(redis_fork_bed, "any place of a long fork is found, by seq and by id") {
  auto fill = [&](const std::string& name, std::uint64_t hundreds, std::int64_t ms) {
    for (std::uint64_t i = 0; i < hundreds; ++i)
      REQUIRE_FALSE(bed->publish(name, {batch{std::vector<std::string>(100, "1")}}, ms).failure);
  };
  fill("a", 30, noon_ms);
  fork("b", "a", 2500);
  fill("b", 25, noon_ms + 1);
  fork("c", "b", 4500);
  fill("c", 15, noon_ms + 2);
  // Where each part goes on without the fork, ids lie between.
  fill("a", 5, noon_ms + 3);
  redis.ask({"XTRIM", stream_named("a"), "MAXLEN", "3300"}); // its first 200
  std::minstd_rand random{11};
  for (int i = 0; i < 60; ++i) {
    if (i % 3 == 0)
      open_again();
    std::uint64_t at = 201 + random() % 5800;
    if (i % 5 == 0)
      at = std::array{201, 2500, 2501, 4500, 4501, 6000}[random() % 6];
    CAPTURE(at);
    auto page = bed->page("c", at, at + 2);
    REQUIRE_FALSE(page.entries.empty());
    CHECK(page.entries[0].at.value == at);
    auto id = page.entries[0].id;
    auto part = at <= 2500 ? 0 : at <= 4500 ? 1 : 2;
    CHECK(id.ms == static_cast<std::uint64_t>(noon_ms + part));
    CHECK(id.n == at - 1 - std::array{0, 2500, 4500}[static_cast<std::size_t>(part)]);
    if (i % 2 == 0)
      open_again();
    auto located = bed->reader->locate_id(named("c"), id);
    REQUIRE((located && located->found));
    CHECK(located->found->at.value == at);
  }
}

TEST_CASE_FIXTURE(redis_fork_bed, "a key of another type is refused before anything is written") {
  say("s", {"1", "2"});
  auto keys = [&] { return redis.ask({"KEYS", "*"}).elements.size(); };
  auto before = keys();
  for (const std::string key : {"confab:forks:s", "stream:conversation:f"}) {
    CAPTURE(key);
    redis.ask({"SET", key, "x"});
    CHECK_FALSE(bed->writer->create(named("f"), fork_of("s"), noon_ms));
    CHECK(keys() == before + 1);
    redis.ask({"DEL", key});
  }
  fork("f", "s");
  redis.ask({"HSET", "confab:log:f", "fork", "nonsense"});
  CHECK_FALSE(bed->writer->open(named("f")));
  CHECK_FALSE(bed->writer->remove(named("f")));
}

TEST_CASE("a rule by age or count for a fork takes from what it shows, and not from its source") {
  redis_server redis;
  auto how = log_options(redis);
  how.retention = {{.pattern = "aged", .age_ms_max = 1000}, {.pattern = "few", .entries_max = 2}};
  auto opened = store::open_redis(how);
  REQUIRE(opened);
  store_bed bed{std::move(*opened)};
  for (int i = 0; i < 4; ++i)
    bed.publish("s", std::to_string(i), noon_ms + i * 1000);
  for (const auto* name : {"aged", "few"}) {
    REQUIRE(bed.writer->create(named(name), fork_of("s"), noon_ms));
    REQUIRE_FALSE(bed.publish(name, "80", noon_ms + 4000).failure);
  }
  bed.retain_all(noon_ms + 3000);
  CHECK(bed.payloads("aged") == payloads{"2", "3", "80"});
  CHECK(bed.payloads("few") == payloads{"3", "80"});
  CHECK(bed.state("few").first == model::seq{4});
  bed.retain_all(noon_ms + 5001);
  CHECK(bed.payloads("aged").empty());
  CHECK(bed.state("aged").first == model::seq{6});
  bed.publish("few", {batch{{"87", "88"}}}, noon_ms + 6000);
  bed.retain_all(noon_ms + 6000);
  CHECK(bed.payloads("few") == payloads{"87", "88"});
  CHECK(bed.payloads("s").size() == 4);
}

TEST_CASE("a rule by age for a deleted fork takes from those that fork it") {
  redis_server redis;
  auto how = log_options(redis);
  how.retention = {{.pattern = "aged", .age_ms_max = 1000}};
  auto opened = store::open_redis(how);
  REQUIRE(opened);
  store_bed bed{std::move(*opened)};
  bed.publish("s", "1", noon_ms);
  REQUIRE(bed.writer->create(named("aged"), fork_of("s"), noon_ms));
  bed.publish("aged", "2", noon_ms + 1000);
  bed.publish("aged", "3", noon_ms + 2000);
  REQUIRE(bed.writer->create(named("f"), fork_of("aged"), noon_ms));
  REQUIRE(bed.writer->remove(named("aged")));
  bed.retain_all(noon_ms + 2500);
  CHECK(bed.payloads("f") == payloads{"3"});
  CHECK(bed.payloads("s") == payloads{"1"});
  bed.retain_all(noon_ms + 5000);
  CHECK(bed.payloads("f").empty());
  CHECK(bed.state("f").first == model::seq{4});
}

TEST_CASE("a rule for a deleted source counts, though only its fork is asked for") {
  redis_server redis;
  auto how = log_options(redis);
  how.retention = {{.pattern = "s", .entries_max = 1}};
  auto open = [&] {
    auto opened = store::open_redis(how);
    REQUIRE(opened);
    return store_bed{std::move(*opened)};
  };
  {
    auto bed = open();
    bed.publish("s", {batch{{"1", "2", "3"}}});
    REQUIRE(bed.writer->create(named("f"), fork_of("s"), noon_ms));
    REQUIRE(bed.writer->remove(named("s")));
  }
  auto bed = open();
  CHECK(bed.payloads("f") == payloads{"1", "2", "3"});
  bed.retain_all(noon_ms);
  CHECK(bed.payloads("f") == payloads{"3"});
}

TEST_CASE("forks come and go on Redis as they do in memory, whoever asks") {
  redis_fork_bed on_redis;
  store_bed other{[&] {
    auto opened = store::open_redis(log_options(on_redis.redis));
    REQUIRE(opened);
    return std::move(*opened);
  }()};
  for (unsigned seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    in_memory kind;
    on_redis.redis.ask({"FLUSHALL"});
    on_redis.open_again();
    store_bed memory{kind.how()};
    std::minstd_rand random{seed};
    const std::vector<std::string> names{"a", "b", "c", "d", "e"};
    for (int step = 0; step < 120; ++step) {
      CAPTURE(step);
      const auto& name = names[random() % names.size()];
      auto& bed = random() % 3 == 0 ? other : *on_redis.bed;
      auto what = random() % 10;
      auto outcome_of = [](const auto& x) {
        return x ? std::string{"done"} : std::string{to_string(x.why().what)};
      };
      if (what < 4) {
        auto at = memory.writer->open(named(name))->state.tail.value;
        auto how = fork_of(names[random() % names.size()]);
        if (random() % 2 == 0)
          how.fork->at = model::position{{}, {random() % (at + 3)}, {}};
        if (random() % 3 == 0)
          how.drafts.push_back({.sender = "a", .payload = "0", .message = {}, .source_id = {}});
        how.closed = random() % 8 == 0;
        CHECK(outcome_of(bed.writer->create(named(name), how, noon_ms)) ==
              outcome_of(memory.writer->create(named(name), how, noon_ms)));
      } else if (what < 8) {
        auto text = std::to_string(step);
        std::vector<std::string> some(1 + random() % 3, text);
        auto its = memory.publish(name, {batch{some}});
        if (what == 7 && !its.failure) {
          for (const auto& payload : some)
            on_redis.add(name, payload);
          continue;
        }
        auto mine = bed.publish(name, {batch{some}});
        CHECK(mine.failure.has_value() == its.failure.has_value());
        if (mine.failure && its.failure)
          CHECK(to_string(mine.failure->what) == to_string(its.failure->what));
      } else {
        CHECK(outcome_of(bed.writer->remove(named(name))) ==
              outcome_of(memory.writer->remove(named(name))));
      }
      for (const auto& x : names) {
        CAPTURE(x);
        auto mine = on_redis.bed->writer->open(named(x));
        auto its = memory.writer->open(named(x));
        REQUIRE((mine && its));
        CHECK(mine->gone == its->gone);
        CHECK(mine->state.tail == its->state.tail);
        CHECK(mine->state.first == its->state.first);
        CHECK(mine->fork == its->fork);
        CHECK(mine->ancestors.size() == its->ancestors.size());
        CHECK(on_redis.bed->payloads(x) == memory.payloads(x));
      }
    }
    for (const auto& x : names)
      on_redis.whole(x);
    std::string defects;
    auto checked = store::check_redis(log_options(on_redis.redis).redis,
                                      [&](const std::string& x) { defects += x + '\n'; });
    REQUIRE(checked);
    CHECK(defects == "");
  }
}
