// A Redis with keys and entries that are not Confab's, that refuses, and that does not answer.
#include "store/redis_bed.hpp"

#include <thread>

using namespace confab;
using namespace confab::test;
using model::code;

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
  b.bed->publish("c", "0");
  // Redis knows the script.
  auto log = b.bed->publish("c", {batch{{"1"}, "~node:1:1", 1}}).state;
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
  CHECK(b.bed->payloads("c") == payloads{"0", "1", "2"});
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
