// Forks in the log on Redis whose sources are lost, deleted or replaced.
#include "store/redis_bed.hpp"

using namespace confab;
using namespace confab::test;
using model::code;

TEST_CASE_FIXTURE(
    redis_fork_bed,
    "a fork whose source lost what it shares has another epoch, and its own entries") {
  for (const std::string how :
       {"DEL of the stream", "DEL of all", "DEL and as long again", "XDEL of one that is shared"}) {
    CAPTURE(how);
    redis.ask({"FLUSHALL"});
    open_again();
    say("s", {"1", "2", "3"});
    auto log = fork("f", "s", 2).state;
    fork("deep", "f");
    say("f", {"80"});
    say("deep", {"81"});
    if (how.starts_with("XDEL"))
      redis.ask({"XDEL", stream_named("s"), to_string(bed->page("s").entries[1].id)});
    else
      redis.ask({"DEL", stream_named("s")});
    if (how == "DEL of all")
      redis.ask({"DEL", "confab:log:s"});
    if (how == "DEL and as long again")
      for (const char* payload : {"7", "8", "9"})
        add("s", payload);
    SUBCASE("noticed by whoever knew it") {}
    SUBCASE("noticed by a process that knows nothing") {
      open_again();
    }
    SUBCASE("noticed first where it was lost") {
      REQUIRE(bed->writer->open(named("s")));
    }
    auto page = bed->page("f");
    CHECK(page.state.epoch != log.epoch);
    CHECK(bed->payloads("f") == payloads{"80"});
    CHECK(page.state.first == model::seq{3});
    CHECK(bed->payloads("deep") == payloads{"81"});
    CHECK(epoch("f") == page.state.epoch);
    CHECK_FALSE(bed->reader->locate(named("f"), {2})->found);
    say("f", {"82"});
    whole("f");
    whole("deep");
    // It is no fork any more.
    REQUIRE(bed->writer->open(named("f")));
    CHECK_FALSE(bed->writer->open(named("f"))->fork);
    CHECK_FALSE(exists("confab:forks:s"));
  }
}

TEST_CASE_FIXTURE(redis_fork_bed,
                  "a fork whose source lost what came later has another epoch, and all entries") {
  say("s", {"1", "2", "3"});
  auto log = fork("f", "s", 2).state;
  say("f", {"80"});
  redis.ask({"SAVE"});
  say("s", {"4"});
  redis.ask({"DEBUG", "RELOAD", "NOSAVE"});
  auto before = epoch("s");
  CHECK(bed->payloads("s") == payloads{"1", "2", "3"});
  CHECK(epoch("f") != log.epoch);
  CHECK(bed->payloads("f") == payloads{"1", "2", "80"});
  auto seen = bed->reader->locate(named("f"), {2});
  REQUIRE(seen);
  CHECK(seen->head.ancestors == std::vector<model::ancestor>{{before, {2}}});
  CHECK(seen->head.fork->source == "s");
  whole("f");
}

TEST_CASE_FIXTURE(redis_fork_bed, "an entry that appears among those that are shared is noticed") {
  add("s", "1", "1-1");
  REQUIRE(bed->writer->open(named("s")));
  add("s", "2", "2-1");
  add("s", "3", "3-1");
  auto log = fork("f", "s").state;
  add("s", "4", "4-1");
  say("f", {"80"});
  // As when Redis replays half a transaction that it had cut off before.
  redis.ask(
      {"EVAL",
       "redis.call('DEL', KEYS[1]) for i, id in ipairs({'1-1', '1-2', '2-1', '3-1', '4-1'}) do "
       "redis.call('XADD', KEYS[1], id, 'payload', i) end",
       "1", stream_named("s")});
  open_again();
  CHECK(epoch("f") != log.epoch);
  CHECK(bed->payloads("f") == payloads{"80"});
}

TEST_CASE_FIXTURE(redis_fork_bed, "a long source that was replaced is counted through") {
  say("s", {"1", "2", "3"});
  fork("f", "s", 2);
  for (int i = 0; i < 12; ++i)
    say("s", std::vector<std::string>(200, "1"));
  SUBCASE("the last one that is shared is still in its place") {
    redis.ask({"XDEL", stream_named("s"), to_string(bed->page("s").entries[0].id)});
    CHECK(bed->payloads("f") == payloads{"2"});
    CHECK(bed->payloads("s").front() == "2");
  }
  SUBCASE("it is there, and its place is another one's") {
    redis.ask({"XDEL", stream_named("s"), to_string(bed->page("s").entries[100].id)});
    CHECK(bed->payloads("f").empty());
    CHECK(bed->state("f").first == model::seq{3});
  }
}

TEST_CASE_FIXTURE(redis_fork_bed,
                  "a fork whose own stream is lost is another log, and lets its source go") {
  say("s", {"1", "2"});
  auto log = fork("f", "s").state;
  REQUIRE(bed->writer->remove(named("s")));
  CHECK(bed->writer->open(named("s"))->gone);
  redis.ask({"DEL", stream_named("f")});
  add("f", "84");
  CHECK(epoch("f") != log.epoch);
  CHECK(bed->payloads("f") == payloads{"84"});
  CHECK_FALSE(exists(stream_named("s")));
  CHECK_FALSE(bed->writer->open(named("s"))->gone);
  say("s", {"85"});
}

TEST_CASE_FIXTURE(redis_fork_bed, "a source goes with its last fork, whatever was left of others") {
  say("s", {"1"});
  for (const auto* name : {"f", "g", "h"})
    fork(name, "s");
  fork("deep", "f");
  REQUIRE(bed->writer->remove(named("f")));
  REQUIRE(bed->writer->remove(named("s")));
  // By hand, and by a deadline that nobody has noticed.
  redis.ask({"DEL", "confab:log:g", stream_named("g")});
  redis.ask({"HSET", "confab:log:h", "expires_ms", "5"});
  CHECK(bed->payloads("deep") == payloads{"1"});
  CHECK(bed->writer->open(named("s"))->gone);
  REQUIRE(bed->writer->remove(named("deep")));
  // confab:since, the fan-out, and the name of the one that was removed by hand
  CHECK(redis.ask({"KEYS", "*"}).elements.size() == 3);
  for (const auto* name : {"s", "f", "h", "deep"})
    say(name, {"85"});
}

TEST_CASE_FIXTURE(redis_fork_bed, "forks that ended unnoticed free a source when it is asked for") {
  say("s", {"1"});
  fork("f", "s");
  REQUIRE(bed->writer->remove(named("s")));
  redis.ask({"HSET", "confab:log:f", "expires_ms", "5"});
  auto stale = bed->writer->open(named("s"));
  REQUIRE(stale);
  CHECK_FALSE(stale->gone);
  CHECK_FALSE(exists(stream_named("f")));
  say("s", {"85"});
}

TEST_CASE_FIXTURE(redis_fork_bed, "a process that did not hear of a deletion appends nothing") {
  say("s", {"1"});
  auto log = bed->state("s");
  fork("f", "s");
  auto other = store::open_redis(log_options(redis));
  REQUIRE(other);
  auto writer = (*other)->writer();
  REQUIRE(writer->remove(named("s")));
  auto late = bed->commit({chain_behind("s", log, {batch{{"2"}}})}).front();
  REQUIRE(late.failure);
  CHECK(late.failure->what == code::gone);
  CHECK(late.committed == 0);
  // Nor does one that did not hear that the name is free again keep it taken.
  CHECK(bed->writer->open(named("s"))->gone);
  REQUIRE(writer->remove(named("f")));
  CHECK_FALSE(bed->commit({chain_behind("s", {}, {batch{{"1"}}})}).front().failure);
}
