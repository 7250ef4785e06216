// What the log on Redis promises beyond the shared suite: others add to it, and it may be lost.
#include "store/redis_bed.hpp"

#include <random>

using namespace confab;
using namespace confab::test;
using model::code;

namespace {

std::vector<std::uint64_t> seqs(const model::page& x) {
  std::vector<std::uint64_t> all;
  for (const auto& y : x.entries)
    all.push_back(y.at.value);
  return all;
}

} // namespace

TEST_CASE(
    "what others XADD has its place in one order with what is published, and receipts say so") {
  redis_bed b;
  auto first = b.bed->publish("c", "1");
  CHECK(first.landed.empty());
  b.add("c", "2");
  b.add("c", "3");
  // The conversation still believes in tail 1.
  auto behind = b.bed->commit({chain_behind("c", first.state, {batch{{"4", "5"}}, batch{{"6"}}})});
  REQUIRE_FALSE(behind[0].failure);
  REQUIRE(behind[0].landed.size() == 2);
  CHECK(behind[0].landed[0].first == model::seq{4});
  CHECK(behind[0].landed[0].count == 2);
  CHECK(behind[0].landed[1].first == model::seq{6});
  CHECK(behind[0].state.tail == model::seq{6});
  CHECK(b.bed->payloads("c") == payloads{"1", "2", "3", "4", "5", "6"});
  CHECK(behind[0].state == b.bed->state("c"));
  auto page = b.bed->page("c");
  CHECK(page.entries[3].id == behind[0].landed[0].id);
  CHECK(page.entries[5].id == behind[0].state.tail_id);
}

TEST_CASE(
    "a stream that others began is a log with all of its entries, unless they are of before") {
  redis_bed b;
  b.add("after", "1");
  CHECK(b.bed->payloads("after") == payloads{"1"});
  b.redis.ask({"XADD", "stream:conversation:before", "5-1", "payload", "old"});
  b.add("before", "2");
  CHECK(b.bed->payloads("before") == payloads{"2"});
  CHECK(b.bed->state("before").first == model::seq{2});
  b.redis.ask({"XADD", "stream:conversation:old", "5-1", "payload", "old"});
  CHECK(b.bed->payloads("old").empty());
  CHECK(b.bed->publish("old", "2").state.tail == model::seq{2});
  b.open_again(true);
  b.redis.ask({"XADD", "stream:conversation:all", "5-1", "payload", "1"});
  CHECK(b.bed->payloads("all") == payloads{"1"});
}

TEST_CASE(
    "an append is in the log once, whoever sends it again, and gets the first one's receipt") {
  redis_bed b;
  for (const std::string producer : {"p", "~node:1:1", "=key"}) {
    CAPTURE(producer);
    auto name = "c" + std::to_string(producer.size());
    auto first = b.bed->publish(name, {batch{{"1", "2"}, producer, 7}});
    auto again = chain_behind(name, first.state, {batch{{"1", "2"}, producer, 7}, batch{{"3"}}});
    // A home that never heard of the first one.
    b.open_again();
    auto outcome = b.bed->commit({again}).front();
    REQUIRE_FALSE(outcome.failure);
    REQUIRE(outcome.landed.size() == 2);
    CHECK(outcome.landed[0].duplicate);
    CHECK(outcome.landed[0].first == model::seq{1});
    CHECK(outcome.landed[0].count == 2);
    CHECK(outcome.landed[0].id == b.bed->page(name).entries[0].id);
    CHECK_FALSE(outcome.landed[1].duplicate);
    CHECK(outcome.landed[1].first == model::seq{3});
    CHECK(b.bed->payloads(name) == payloads{"1", "2", "3"});
  }
}

TEST_CASE("a producer's number that is missing, or of a fenced epoch, ends the chain there") {
  redis_bed b;
  auto log = b.bed->publish("c", {batch{{"1"}, "p", 7, "", 2}}).state;
  auto gap =
      b.bed
          ->commit({chain_behind(
              "c", log, {batch{{"2"}, "p", 8, "", 2}, batch{{"x"}, "p", 10, "", 2}, batch{{"y"}}})})
          .front();
  CHECK(gap.committed == 1);
  REQUIRE(gap.failure);
  CHECK(gap.failure->what == code::producer_gap);
  CHECK(gap.failure->expected == 9);
  CHECK(gap.state.tail == model::seq{2});
  auto fenced =
      b.bed->commit({chain_behind("c", gap.state, {batch{{"z"}, "p", 9, "", 1}})}).front();
  REQUIRE(fenced.failure);
  CHECK(fenced.failure->what == code::producer_epoch);
  CHECK(b.bed->payloads("c") == payloads{"1", "2"});
}

TEST_CASE("a log that is lost as a whole, its stream deleted, or rolled back gets another epoch") {
  redis_bed b;
  for (const std::string how : {"FLUSHALL", "DEL", "DEL and as long again", "rolled back",
                                "XDEL of the last", "XDEL in the middle"}) {
    CAPTURE(how);
    b.redis.ask({"FLUSHALL"});
    b.bed->publish("c", {batch{{"1"}, "p", 1}});
    b.bed->publish("c", "2");
    b.redis.ask({"SAVE"});
    auto log = b.bed->publish("c", "3").state;
    auto middle = to_string(b.bed->page("c").entries[1].id);
    const std::string stream = "stream:conversation:c";
    if (how == "FLUSHALL")
      b.redis.ask({"FLUSHALL"});
    else if (how == "rolled back")
      b.redis.ask({"DEBUG", "RELOAD", "NOSAVE"});
    else if (how == "XDEL of the last")
      b.redis.ask({"XDEL", stream, to_string(log.tail_id)});
    else if (how == "XDEL in the middle")
      b.redis.ask({"XDEL", stream, middle});
    else
      b.redis.ask({"DEL", stream});
    if (how == "rolled back" || how == "DEL and as long again")
      for (const char* payload : {"7", "8", "9"})
        b.add("c", payload);

    SUBCASE("noticed by an append") {
      auto refused = b.bed->commit({chain_behind("c", log, {batch{{"4"}}})}).front();
      // XDEL of an older one shows to whoever observes.
      if (how != "XDEL in the middle") {
        REQUIRE(refused.failure);
        CHECK(refused.failure->what == code::moved);
        CHECK(refused.committed == 0);
      }
    }
    SUBCASE("noticed by a look") {
      auto heads = b.bed->writer->look(std::vector{named("c")}, noon_ms);
      REQUIRE(heads[0]);
      CHECK(heads[0]->state.epoch != log.epoch);
    }
    SUBCASE("noticed by a page") {
      CHECK(b.bed->page("c").state.epoch != log.epoch);
    }
    auto now = b.bed->state("c");
    CHECK(now.epoch != log.epoch);
    if (how == "FLUSHALL") {
      CHECK(now.epoch.empty());
      continue;
    }
    CHECK_FALSE(now.epoch.empty());
    // Dense, and true to the stream.
    auto page = b.bed->page("c");
    auto length = static_cast<std::uint64_t>(b.redis.ask({"XLEN", stream}).number);
    CHECK(page.entries.size() == length);
    CHECK(now.tail.value - now.first.value + 1 == length);
    CHECK(b.epoch("c") == now.epoch);
    // What went with the stream is not remembered, what is still there is.
    auto row = b.bed->writer->producer(named("c"), "p", noon_ms);
    REQUIRE(row);
    CHECK(row->has_value() == (how.starts_with("DEL") ? false : true));
    auto goes_on = b.bed->publish("c", "10");
    CHECK_FALSE(goes_on.failure);
    CHECK(goes_on.state.epoch == now.epoch);
    CHECK(goes_on.state.tail == now.tail.next());
  }
}

TEST_CASE("trimming moves no place and changes no epoch, even beyond the tail that was known") {
  redis_bed b;
  auto log = b.bed->publish("c", {batch{{"1"}}, batch{{"2"}}, batch{{"3"}}}).state;
  b.redis.ask({"XTRIM", "stream:conversation:c", "MAXLEN", "1"});
  CHECK(seqs(b.bed->page("c")) == std::vector<std::uint64_t>{3});
  CHECK(b.epoch("c") == log.epoch);
  b.redis.ask({"XTRIM", "stream:conversation:c", "MAXLEN", "0"});
  CHECK(b.bed->page("c").entries.empty());
  CHECK(b.bed->state("c").first == model::seq{4});
  CHECK(b.bed->state("c").tail == model::seq{3});
  auto on = b.bed->publish("c", "4");
  CHECK(on.state.epoch == log.epoch);
  CHECK(on.state.tail == model::seq{4});
  for (int i = 5; i <= 9; ++i)
    b.add("c", std::to_string(i));
  b.redis.ask({"XTRIM", "stream:conversation:c", "MAXLEN", "2"});
  CHECK(b.epoch("c") == log.epoch);
  CHECK(seqs(b.bed->page("c", 1)) == std::vector<std::uint64_t>{8, 9});
  auto behind = b.bed->commit({chain_behind("c", on.state, {batch{{"10"}}})}).front();
  CHECK_FALSE(behind.failure);
  CHECK(behind.state.tail == model::seq{10});
}

TEST_CASE("redis.maxlen trims while it appends") {
  redis_server redis{{"stream-node-max-entries 10"}};
  auto how = log_options(redis);
  how.maxlen = 20;
  auto opened = store::open_redis(how);
  REQUIRE(opened);
  store_bed bed{std::move(*opened)};
  for (int i = 0; i < 100; ++i)
    bed.publish("c", "1");
  auto log = bed.state("c");
  CHECK(log.tail == model::seq{100});
  CHECK(log.first > model::seq{60});
  CHECK(bed.page("c").entries.front().at == log.first);
}

TEST_CASE("any place of a long stream is found, by seq and by id, near a known one or far") {
  redis_bed b;
  constexpr std::uint64_t count = 5'000;
  for (std::uint64_t i = 0; i < count / 500; ++i)
    b.bed->publish("c", {batch{std::vector<std::string>(500, "1")}},
                   noon_ms + static_cast<std::int64_t>(i));
  b.redis.ask({"XTRIM", "stream:conversation:c", "MAXLEN", "4500"});
  std::minstd_rand random{7};
  for (int i = 0; i < 30; ++i) {
    if (i % 3 == 0)
      b.open_again();
    std::uint64_t at = 501 + random() % 4500;
    CAPTURE(at);
    auto page = b.bed->page("c", at, at + 2);
    REQUIRE_FALSE(page.entries.empty());
    CHECK(page.entries[0].at.value == at);
    // Every 500 share a millisecond, so the id tells the place.
    auto id = page.entries[0].id;
    CHECK(id ==
          model::entry_id{static_cast<std::uint64_t>(noon_ms) + (at - 1) / 500, (at - 1) % 500});
    if (i % 2 == 0)
      b.open_again();
    auto located = b.bed->reader->locate_id(named("c"), id);
    REQUIRE(located);
    REQUIRE(located->found);
    CHECK(located->found->at.value == at);
  }
  auto beyond = b.bed->reader->locate(named("c"), {count + 1});
  REQUIRE(beyond);
  CHECK_FALSE(beyond->found);
}

TEST_CASE("an entry that appears in front of the known tail is another log") {
  redis_bed b;
  b.add("c", "1", "1-1");
  auto log = b.bed->publish("c", "2").state;
  // As when Redis replays half a transaction that it had cut off before.
  auto stream = std::string{"stream:conversation:c"};
  b.redis.ask({"EVAL",
               "redis.call('DEL', KEYS[1]) redis.call('XADD', KEYS[1], '1-1', 'payload', '1') "
               "redis.call('XADD', KEYS[1], '2-1', 'payload', '7') "
               "redis.call('XADD', KEYS[1], ARGV[1], 'payload', '2')",
               "1", stream, to_string(log.tail_id)});
  auto refused = b.bed->commit({chain_behind("c", log, {batch{{"3"}}})}).front();
  REQUIRE(refused.failure);
  CHECK(refused.failure->what == code::moved);
  CHECK(b.epoch("c") != log.epoch);
}
