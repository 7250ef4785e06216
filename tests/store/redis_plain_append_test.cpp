// The usual call of the append script, and what makes it leave an append to the other one.
#include "store/redis_bed.hpp"

#include <map>
#include <random>

using namespace confab;
using namespace confab::test;
using model::code;

namespace {

/// How often Redis was asked to keep a producers' hash: with each append that is not plain.
std::int64_t prolongations(redis_server& redis) {
  auto text = redis.ask({"INFO", "commandstats"}).text;
  auto at = text.find("cmdstat_pexpire:calls=");
  return at == std::string::npos ? 0 : std::stoll(text.substr(text.find('=', at) + 1));
}

std::vector<model::receipt> receipts_of(const store::chain_outcome& x, const store::chain& of) {
  if (!x.landed.empty())
    return x.landed;
  std::vector<model::receipt> all;
  for (std::size_t i = 0; i < x.committed; ++i) {
    const auto& entries = of.appends[i]->entries;
    all.push_back({.first = entries.front().at,
                   .count = static_cast<std::uint32_t>(entries.size()),
                   .id = entries.front().id});
  }
  return all;
}

} // namespace

TEST_CASE(
    "redis: appends of the usual kind cost one prolongation an hour, and the others one each") {
  redis_bed b;
  auto publish = [&](std::vector<batch> all, std::int64_t now_ms = noon_ms) {
    auto x = b.bed->publish("c", std::move(all), now_ms);
    REQUIRE_MESSAGE(!x.failure, x.failure->detail);
    CHECK(x.landed.empty());
  };
  publish({{{"1"}, "~a:1", 1}});
  publish({{{"2"}, "~a:1", 2}});
  auto before = prolongations(b.redis);
  publish({{{"3"}, "~a:1", 3}, {{"4"}, "~a:2", 9}});
  publish({{{"5", "6"}, "p", 7}, {{"7"}, "p", 8}, {{"8"}, "~a:1", 4}});
  publish({{{"9"}, "p", 9}, {{"10"}, "q", 0}});
  CHECK(prolongations(b.redis) == before);
  publish({{{"11"}, "p", 10}}, noon_ms + 3'600'000);
  CHECK(prolongations(b.redis) == before + 1);
  publish({{{"12"}, "", 0}});
  CHECK(prolongations(b.redis) == before + 1); // nobody to remember
  publish({{{"13"}, "p", 0, "", 1}}, noon_ms + 3'600'001);
  CHECK(prolongations(b.redis) == before + 2); // of a new epoch
  CHECK(b.bed->payloads("c") ==
        payloads{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13"});
  CHECK(b.redis.ask({"XLEN", "stream:fanout:all-conversations"}).number == 13);
  auto row = b.bed->writer->producer(named("c"), "q", noon_ms);
  REQUIRE(row);
  REQUIRE(*row);
  CHECK((*row)->number == 0);
  CHECK((*row)->last.first == model::seq{10});
}

TEST_CASE("redis: of a producers' hash with many fields one is found at once, and it holds nothing "
          "else") {
  redis_bed b;
  auto encoding = [&] { return b.redis.ask({"OBJECT", "ENCODING", "confab:producer:c"}).text; };
  std::uint64_t number = 0;
  auto publish = [&](int count) {
    for (int i = 0; i < count; ++i)
      REQUIRE_FALSE(b.bed->publish("c", {batch{{"1"}, "~a:1", ++number}}).failure);
  };
  publish(20);
  CHECK(encoding() == "listpack");
  publish(60);
  CHECK(encoding() == "hashtable");
  CHECK(b.redis.ask({"HLEN", "confab:producer:c"}).number == 80);
}

TEST_CASE("redis: an entry of the usual kind has the fields that others read") {
  redis_bed b;
  b.bed->publish("c", {batch{{"1"}, "~a:1", 1}});
  auto state = b.bed->state("c");
  auto one = append_behind(state, {{"2"}, "~a:1", 2}, noon_ms);
  one->entries[0].sender = "ann";
  auto noon = std::to_string(noon_ms);
  auto fields_of = [&](std::shared_ptr<store::append> x) {
    store::chain chain{named("c"), state.epoch, "application/json", {std::move(x)}};
    auto done = b.bed->commit({chain}).front();
    REQUIRE_FALSE(done.failure);
    state = done.state;
    auto got = b.redis.ask({"XREVRANGE", "stream:conversation:c", "+", "-", "COUNT", "1"});
    std::vector<std::string> fields;
    for (const auto& y : got.elements.at(0).elements.at(1).elements)
      fields.push_back(y.text);
    return fields;
  };
  CHECK(fields_of(one) ==
        payloads{"payload", "2", "conversation_id", "c", "sender_id", "ann", "timestamp", noon});
  one = append_behind(state, {{"3"}, "p", 5}, noon_ms);
  one->entries[0].kind = "note";
  CHECK(fields_of(one) == payloads{"payload", "3", "conversation_id", "c", "sender_id",
                                   one->entries[0].sender, "timestamp", noon, "kind", "note",
                                   "producer", "p", "producer_seq", "5"});
}

TEST_CASE("redis: a number that is there already, a gap and an old epoch are found out as ever") {
  redis_bed b;
  auto log = b.bed->publish("c", {batch{{"1"}, "p", 1}, batch{{"2"}, "~a:1", 1}}).state;
  log = b.bed->publish("c", {batch{{"3"}, "p", 2}, batch{{"4"}, "~a:1", 2}}).state;
  auto offered = [&](const batch& x) {
    return b.bed->commit({chain_behind("c", b.bed->state("c"), {x})}).front();
  };
  for (const auto& x : {batch{{"3"}, "p", 2}, batch{{"4"}, "~a:1", 2}, batch{{"1"}, "p", 1}}) {
    CAPTURE(x.payloads[0]);
    auto again = offered(x);
    REQUIRE_FALSE(again.failure);
    REQUIRE(again.landed.size() == 1);
    CHECK(again.landed[0].duplicate);
    CHECK(std::to_string(again.landed[0].first.value) == x.payloads[0]);
  }
  CHECK(offered({{"x"}, "p", 4}).failure->what == code::producer_gap);
  REQUIRE_FALSE(offered({{"5"}, "p", 0, "", 3}).failure);
  CHECK(offered({{"x"}, "p", 1, "", 2}).failure->what == code::producer_epoch);
  CHECK(b.bed->payloads("c") == payloads{"1", "2", "3", "4", "5"});
}

TEST_CASE(
    "redis: a key of another type leaves nothing half written of an append of the usual kind") {
  redis_bed b;
  b.bed->publish("c", {batch{{"1"}, "p", 1}});
  b.bed->publish("c", {batch{{"2"}, "p", 2}});
  for (const char* key : {"confab:producer:c", "stream:fanout:all-conversations"}) {
    CAPTURE(key);
    b.redis.ask({"RENAME", key, "kept"});
    b.redis.ask({"SET", key, "a string"});
    auto chain = chain_behind("c", b.bed->state("c"), {batch{{"x", "y"}, "p", 3}});
    auto outcome = b.bed->commit({chain}).front();
    REQUIRE(outcome.failure);
    CHECK(outcome.failure->what == code::store_failed);
    CHECK(outcome.failure->detail.find("WRONGTYPE") != std::string::npos);
    b.redis.ask({"RENAME", "kept", key});
    CHECK(b.redis.ask({"XLEN", "stream:conversation:c"}).number == 2);
    CHECK(b.redis.ask({"XLEN", "stream:fanout:all-conversations"}).number == 2);
    CHECK(b.redis.ask({"HGET", "confab:producer:c", "p"}).text.starts_with("0 2 "));
  }
  CHECK_FALSE(b.bed->publish("c", {batch{{"3"}, "p", 3}}).failure);
}

TEST_CASE("redis: a stream that was replaced by one as long is not appended to unnoticed") {
  redis_bed b;
  b.bed->publish("c", {batch{{"1"}, "~a:1", 1}});
  auto log = b.bed->publish("c", {batch{{"2"}, "~a:1", 2}}).state;
  b.redis.ask({"DEL", "stream:conversation:c"});
  b.add("c", "other", "1-1");
  b.add("c", "another", "1-2");
  auto outcome = b.bed->commit({chain_behind("c", log, {batch{{"3"}, "~a:1", 3}})}).front();
  REQUIRE(outcome.failure);
  CHECK(outcome.failure->what == code::moved);
  CHECK(b.redis.ask({"XLEN", "stream:conversation:c"}).number == 2);
}

TEST_CASE("redis: two processes and others append, trim and repeat themselves, and each number is "
          "there once") {
  redis_bed b;
  for (std::uint32_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    std::minstd_rand random{seed};
    auto name = "c" + std::to_string(seed);
    b.open_again();
    auto opened = store::open_redis(log_options(b.redis));
    REQUIRE(opened);
    store_bed other{std::move(*opened)};
    store_bed* beds[] = {&*b.bed, &other};
    struct publish {
      batch what;
      std::optional<model::receipt> got;
    };
    std::vector<publish> all;
    std::map<std::string, std::uint64_t> numbers;
    model::log_state seen[2];
    std::size_t others = 0;
    for (int step = 0; step < 60; ++step) {
      auto which = random() % 2;
      auto& bed = *beds[which];
      if (random() % 5 == 0) {
        b.add(name, "\"raw\"");
        ++others;
      }
      if (random() % 20 == 0)
        b.redis.ask({"XTRIM", "stream:conversation:" + name, "MAXLEN", "15"});
      if (random() % 2 == 0 || seen[which].epoch.empty())
        seen[which] = bed.state(name);
      std::vector<std::size_t> indices;
      for (auto i = random() % 4 + 1; i > 0; --i) {
        if (random() % 4 == 0 && !all.empty()) {
          indices.push_back(random() % all.size());
          continue;
        }
        const char* names[] = {"~a:", "~b:", "p", "q"};
        auto producer = names[random() % 4] + std::to_string(which);
        auto text = std::to_string(1'000 + all.size());
        batch what{{text}, producer, ++numbers[producer]};
        if (random() % 3 == 0)
          what.payloads.push_back(text + '5');
        indices.push_back(all.size());
        all.push_back({what, std::nullopt});
      }
      std::vector<batch> batches;
      for (auto i : indices)
        batches.push_back(all[i].what);
      auto chain = chain_behind(name, seen[which], batches, noon_ms + step);
      auto done = bed.commit({chain}, noon_ms + step).front();
      seen[which] = done.state;
      auto receipts = receipts_of(done, chain);
      REQUIRE(receipts.size() == done.committed);
      for (std::size_t i = 0; i < done.committed; ++i) {
        auto& its = all[indices[i]];
        if (its.got)
          CHECK(its.got->first == receipts[i].first);
        else
          CHECK_FALSE(receipts[i].duplicate);
        its.got = receipts[i];
      }
      // What was not taken is offered again, in the order of its numbers.
      for (auto i = done.committed; i < indices.size(); ++i) {
        auto& its = all[indices[i]];
        for (int tries = 0; !its.got && tries < 3; ++tries) {
          seen[which] = bed.state(name);
          auto again = chain_behind(name, seen[which], {its.what}, noon_ms + step);
          auto outcome = bed.commit({again}, noon_ms + step).front();
          if (!outcome.failure)
            its.got = receipts_of(outcome, again).front();
        }
        REQUIRE(its.got);
      }
    }
    std::uint64_t published = 0;
    for (const auto& x : all)
      published += x.what.payloads.size();
    auto page = other.page(name);
    CHECK(page.state.tail.value == published + others);
    auto first_left = page.entries.front().at.value;
    std::map<std::uint64_t, std::string> by_seq;
    for (const auto& x : page.entries)
      by_seq[x.at.value] = x.payload;
    for (const auto& x : all)
      for (std::size_t i = 0; i < x.what.payloads.size(); ++i)
        if (auto at = x.got->first.value + i; at >= first_left)
          CHECK(by_seq[at] == x.what.payloads[i]);
  }
}
