// What the log on Redis promises beyond the shared suite: others add to it, and it may be lost.
#include "store/redis_bed.hpp"

#include <random>
#include <thread>

using namespace confab;
using namespace confab::test;
using model::code;

namespace {

/// A store of its own on a Redis that others use, too.
struct redis_bed {
  explicit redis_bed(std::vector<std::string> settings = {}) : redis{std::move(settings)} {
    open_again();
  }

  /// A process that knows nothing yet.
  void open_again(bool import_all = false) {
    bed.reset();
    auto how = log_options(redis);
    how.redis.command_ms = 2'000;
    how.redis.reconnect = {1, 10};
    how.import_all = import_all;
    auto opened = store::open_redis(how);
    REQUIRE_MESSAGE(opened, opened.why().detail);
    bed.emplace(std::move(*opened));
  }
  /// As an old-style producer does it. @returns its id.
  std::string add(const std::string& name, const std::string& payload,
                  const std::string& id = "*") {
    return redis.ask({"XADD", "stream:conversation:" + name, id, "payload", payload}).text;
  }
  model::epoch epoch(const std::string& name) { return bed->state(name).epoch; }

  redis_server redis;
  std::optional<store_bed> bed;
};

std::vector<std::uint64_t> seqs(const model::page& x) {
  std::vector<std::uint64_t> all;
  for (const auto& y : x.entries)
    all.push_back(y.at.value);
  return all;
}

using payloads = std::vector<std::string>;

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

TEST_CASE("a key of another type refuses the append before anything is written") {
  redis_bed b;
  b.bed->publish("c", "1");
  for (const char* key : {"confab:log:d", "confab:producer:d", "confab:conversations",
                          "stream:conversation:d", "stream:fanout:all-conversations"}) {
    CAPTURE(key);
    auto kept = std::string{key} + ":kept";
    auto there = b.redis.ask({"EXISTS", key}).number == 1;
    if (there)
      b.redis.ask({"RENAME", key, kept});
    b.redis.ask({"SET", key, "a string"});
    auto outcome = b.bed->commit({chain_behind("d", {}, {batch{{"1"}, "p", 1}})}).front();
    REQUIRE(outcome.failure);
    CHECK(outcome.failure->what == code::store_failed);
    CHECK(outcome.failure->detail.find("WRONGTYPE") != std::string::npos);
    CHECK(outcome.committed == 0);
    b.redis.ask({"DEL", key});
    CHECK(b.redis.ask({"EXISTS", "stream:conversation:d", "confab:log:d", "confab:producer:d"})
              .number == 0);
    if (there)
      b.redis.ask({"RENAME", kept, key});
  }
  CHECK_FALSE(b.bed->publish("d", "1").failure);
}

TEST_CASE("ids that others chose do not stop a log, as far as ids can rise") {
  redis_bed b;
  b.add("c", "1", "5-9223372036854775807");
  auto second = b.bed->publish("c", "2");
  REQUIRE_MESSAGE(!second.failure, second.failure->detail);
  CHECK(second.state.tail == model::seq{2});
  // A clock of the year 2096.
  b.add("c", "3", "4000000000000-0");
  auto fourth = b.bed->publish("c", {batch{{"4", "5"}}});
  CHECK(fourth.state.tail_id == model::entry_id{4'000'000'000'000, 2});
  b.add("d", "1", "18446744073709551615-18446744073709551615");
  auto none = b.bed->commit({chain_behind("d", {}, {batch{{"2"}}})}).front();
  REQUIRE(none.failure);
  CHECK_FALSE(b.bed->reader->page(named("d"), {1}, {9}));
}

TEST_CASE("what others write is an entry, whatever its fields are") {
  redis_bed b;
  auto stream = "stream:conversation:c";
  b.redis.ask({"XADD", stream, "*", "payload", R"({"a": 1.0})", "sender_id", "ann", "kind", "note",
               "timestamp", "1700000000123", "message", "m1"});
  b.redis.ask({"XADD", stream, "*", "text", "no payload"});
  b.redis.ask({"XADD", stream, "*", "payload", "plain \"text\"", "timestamp", "yesterday"});
  b.redis.ask({"XADD", stream, "*", "payload", "\xff\x01"});
  b.redis.ask({"XADD", stream, "*", "payload", std::string(3'000'000, 'x')});
  b.redis.ask({"XADD", stream, "*", "payload", "7", "producer", "~inside", "producer_seq", "1"});
  auto page = b.bed->page("c");
  REQUIRE(page.entries.size() >= 4);
  CHECK(page.entries[0].payload == R"({"a": 1.0})");
  CHECK(page.entries[0].sender == "ann");
  CHECK(page.entries[0].kind == "note");
  CHECK(page.entries[0].time_ms == 1'700'000'000'123);
  CHECK(page.entries[0].message == "m1");
  CHECK(page.entries[1].payload == "null");
  CHECK(page.entries[2].payload == R"("plain \"text\"")");
  CHECK(page.entries[2].time_ms == static_cast<std::int64_t>(page.entries[2].id.ms));
  CHECK(page.entries[3].payload == R"({"base64":"/wE="})");
  auto rest = b.bed->page("c", 5);
  CHECK(rest.entries[0].kind == "gap");
  CHECK(b.bed->page("c", 6).entries[0].producer.empty());
}

TEST_CASE("entries that others add behind the end of a closed log are not in it") {
  redis_bed b;
  b.bed->publish("c", "1");
  auto closed = b.bed->writer->close(named("c"));
  REQUIRE(closed);
  b.add("c", "2");
  CHECK(b.bed->state("c") == *closed);
  CHECK(b.bed->payloads("c") == payloads{"1"});
  CHECK(b.bed->reader->locate(named("c"), {2})->found == std::nullopt);
  b.open_again();
  CHECK(b.bed->payloads("c") == payloads{"1"});
}

TEST_CASE("an append that was sent and not answered is unknown, and sent again it is there once") {
  redis_bed b;
  auto log = b.bed->publish("c", "1").state;
  auto chain = chain_behind("c", log, {batch{{"2"}, "~node:1:1", 2}});
  b.redis.pause();
  auto unknown = b.bed->commit({chain}).front();
  b.redis.go_on();
  REQUIRE(unknown.failure);
  CHECK(unknown.failure->what == code::append_unknown);
  CHECK_FALSE(b.bed->writer->health().trouble.empty());
  store::chain_outcome again;
  for (int tries = 0; tries < 1000; ++tries) {
    again = b.bed->commit({chain}).front();
    if (!again.failure)
      break;
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  REQUIRE_FALSE(again.failure);
  CHECK(b.bed->payloads("c") == payloads{"1", "2"});
  CHECK(b.bed->writer->health().trouble.empty());
}

TEST_CASE("a Redis that refuses to write fails the append for good, and heals without a restart") {
  redis_bed b;
  auto log = b.bed->publish("c", "1").state;
  auto chain = chain_behind("c", log, {batch{{"2"}}});
  auto refused_by = [&](const std::vector<std::string>& on, const std::vector<std::string>& off,
                        const char* word) {
    b.redis.ask(on);
    auto outcome = b.bed->commit({chain}).front();
    b.redis.ask(off);
    REQUIRE(outcome.failure);
    CHECK(outcome.failure->what == code::store_failed);
    CHECK(outcome.failure->detail.find(word) != std::string::npos);
    CHECK(b.bed->payloads("c") == payloads{"1"});
  };
  refused_by({"CONFIG", "SET", "maxmemory", "1"}, {"CONFIG", "SET", "maxmemory", "0"}, "OOM");
  refused_by({"REPLICAOF", "127.0.0.1", "1"}, {"REPLICAOF", "NO", "ONE"}, "READONLY");
  refused_by({"CONFIG", "SET", "min-replicas-to-write", "1"},
             {"CONFIG", "SET", "min-replicas-to-write", "0"}, "NOREPLICAS");
  b.redis.ask({"SCRIPT", "FLUSH"});
  CHECK_FALSE(b.bed->commit({chain}).front().failure);
}

TEST_CASE("a long chain goes in several calls, in order and whole") {
  redis_bed b;
  std::vector<batch> batches;
  for (int i = 0; i < 1'300; ++i)
    batches.push_back({{std::to_string(i), "0"}});
  auto outcome = b.bed->publish("c", batches);
  REQUIRE_FALSE(outcome.failure);
  CHECK(outcome.committed == 1'300);
  CHECK(outcome.state.tail == model::seq{2'600});
  CHECK(b.bed->page("c", 2'599).entries[0].payload == "1299");
}

TEST_CASE("each entry has its pointer, marked with its origin") {
  redis_bed b;
  b.bed->publish("c", {batch{{"1", "2"}}});
  auto pointers = b.redis.ask({"XRANGE", "stream:fanout:all-conversations", "-", "+"});
  REQUIRE(pointers.elements.size() == 2);
  std::vector<std::string> words;
  for (const auto& x : pointers.elements[1].elements[1].elements)
    words.push_back(x.text);
  CHECK(words == std::vector<std::string>{
                     "conversation_id", "c", "stream_key", "stream:conversation:c", "entry_id",
                     to_string(b.bed->page("c").entries[1].id), "origin", "test"});
}

TEST_CASE("a cursor of an earlier system counts if its entry is where it says") {
  redis_bed b;
  auto id = b.add("c", "1");
  auto cursor = [&](const std::string& json) {
    b.redis.ask({"SET", "client:sync:a%3Ab:phone:c", json});
    auto read = b.bed->reader->cursor({"a:b", "phone", named("c")}, noon_ms);
    REQUIRE(read);
    return *read;
  };
  auto found = cursor(R"({"last_message_id":")" + id + R"(","last_seq":1})");
  REQUIRE(found);
  CHECK(found->at == model::seq{1});
  CHECK_FALSE(cursor(R"({"last_message_id":"1-1","last_seq":1})"));
  CHECK_FALSE(cursor("[1]"));
  CHECK_FALSE(cursor("not json"));
  CHECK_FALSE(cursor(R"({"last_message_id":7,"last_seq":"x"})"));
}
