// Copies from a stream commit once, with their place; what a store knows of mirrors.
#include "store/sqlite_database.hpp"
#include "store/store_bed.hpp"
#include "store/stream_ledger.hpp"

using namespace confab;
using namespace confab::test;
using model::code;

namespace {

using place = std::optional<model::stream_place>;

store::chain copies_behind(std::string_view name, const model::log_state& log, place after,
                           model::stream_place through, const std::vector<std::string>& payloads) {
  auto made = append_behind(log, {payloads, {}, 0, to_string(through.id)}, noon_ms);
  for (auto& x : made->entries)
    x.producer = model::copy_producer;
  made->copies = {after, through};
  return {named(name), log.epoch, "application/json", {made}};
}

place copied(store_bed& bed, std::string_view name) {
  auto found = bed.writer->ledger()->copied(named(name));
  REQUIRE_MESSAGE(found, found.why().detail);
  return *found;
}

} // namespace

#define STORE_TEST(name) TEST_CASE_TEMPLATE(name, kind, on_disk, in_memory)

STORE_TEST("a copy is committed with its place, and the same one again is refused") {
  kind k;
  store_bed bed{k.how()};
  CHECK(copied(bed, "c") == std::nullopt);
  model::stream_place first{2, {10, 0}};
  REQUIRE_FALSE(
      bed.commit({copies_behind("c", {}, std::nullopt, first, {"1", "2"})}).front().failure);
  CHECK(copied(bed, "c") == first);

  auto again =
      bed.commit({copies_behind("c", bed.state("c"), std::nullopt, first, {"1", "2"})}).front();
  REQUIRE(again.failure);
  CHECK(again.failure->what == code::conflict);
  CHECK(again.committed == 0);
  CHECK(bed.payloads("c") == std::vector<std::string>{"1", "2"});

  model::stream_place second{3, {11, 0}};
  CHECK_FALSE(
      bed.commit({copies_behind("c", bed.state("c"), first, second, {"3"})}).front().failure);
  CHECK(copied(bed, "c") == second);
}

STORE_TEST("of two copiers that begin at the same place, one commits") {
  kind k;
  store_bed bed{k.how()};
  model::stream_place one{1, {10, 0}};
  model::stream_place two{2, {11, 0}};
  auto chain = copies_behind("c", {}, std::nullopt, one, {"1"});
  auto rest = append_behind({{}, {1}, {1}, chain.appends[0]->entries[0].id}, {{"2"}}, noon_ms);
  rest->copies = {one, two};
  auto rival = append_behind({{}, {1}, {2}, rest->entries[0].id}, {{"2 again"}}, noon_ms);
  rival->copies = {one, two};
  chain.appends.push_back(rest);
  chain.appends.push_back(rival);
  auto outcome = bed.commit({chain}).front();
  CHECK(outcome.committed == 2);
  REQUIRE(outcome.failure);
  CHECK(outcome.failure->what == code::conflict);
  CHECK(bed.payloads("c") == std::vector<std::string>{"1", "2"});
  CHECK(copied(bed, "c") == two);
}

STORE_TEST("a copy that starts a stream over names the place that it leaves") {
  kind k;
  store_bed bed{k.how()};
  model::stream_place old{900, {90, 0}};
  REQUIRE(bed.writer->ledger()->pass(named("c"), {std::nullopt, old}));
  model::stream_place fresh{1, {5, 0}};
  CHECK(bed.commit({copies_behind("c", {}, std::nullopt, fresh, {"1"})}).front().failure);
  CHECK_FALSE(bed.commit({copies_behind("c", {}, old, fresh, {"1"})}).front().failure);
  CHECK(copied(bed, "c") == fresh);
}

STORE_TEST("what is passed over is not copied any more") {
  kind k;
  store_bed bed{k.how()};
  model::stream_place at{5, {10, 0}};
  REQUIRE(bed.writer->ledger()->pass(named("c"), {std::nullopt, at}));
  auto again = bed.writer->ledger()->pass(named("c"), {std::nullopt, at});
  REQUIRE_FALSE(again);
  CHECK(again.why().what == code::conflict);
  CHECK(copied(bed, "c") == at);
  CHECK(bed.state("c").epoch.empty());
}

STORE_TEST("a deleted conversation is not filled again with what was copied before") {
  kind k;
  store_bed bed{k.how()};
  model::stream_place at{1, {10, 0}};
  bed.commit({copies_behind("c", {}, std::nullopt, at, {"1"})});
  REQUIRE(bed.writer->remove(named("c")));
  CHECK(copied(bed, "c") == at);
  CHECK(bed.commit({copies_behind("c", {}, std::nullopt, at, {"1"})}).front().failure);
  CHECK(bed.state("c").epoch.empty());
}

STORE_TEST("a mirror's place moves forward, in its epoch only") {
  kind k;
  store_bed bed{k.how()};
  bed.publish("c", {batch{{"1", "2", "3"}}});
  auto epoch = bed.state("c").epoch;
  auto move = [&](const model::epoch& in, std::uint64_t through) {
    REQUIRE(bed.writer->ledger()->mirrored(
        std::vector<store::mirror_move>{{named("c"), in, {through}}}));
    auto head = bed.writer->open(named("c"));
    REQUIRE(head);
    return head->mirrored.value;
  };
  CHECK(move(epoch, 2) == 2);
  CHECK(move(epoch, 1) == 2);
  CHECK(move({"other000.1"}, 3) == 2);
  CHECK(move(epoch, 4) == 2);
  bed.publish("c", "4");
  CHECK(move(epoch, 4) == 4);
  auto listed = bed.reader->list("", "", 10);
  REQUIRE(listed);
  CHECK(listed->front().head.mirrored == model::seq{4});
  // A new log of the name begins anew.
  REQUIRE(bed.writer->remove(named("c")));
  bed.publish("c", "1");
  CHECK(move(epoch, 1) == 0);
}

STORE_TEST("the first value that is remembered stays") {
  kind k;
  store_bed bed{k.how()};
  for (std::int64_t value : {7, 8}) {
    auto kept = bed.writer->ledger()->remember("since", value);
    REQUIRE(kept);
    CHECK(*kept == 7);
  }
}

TEST_CASE("places of streams, mirrors and what is remembered are there after reopening") {
  on_disk k;
  model::stream_place at{1, {10, 0}};
  {
    store_bed bed{k.how()};
    bed.commit({copies_behind("c", {}, std::nullopt, at, {"1"})});
    REQUIRE(bed.writer->ledger()->mirrored(
        std::vector<store::mirror_move>{{named("c"), bed.state("c").epoch, {1}}}));
    REQUIRE(bed.writer->ledger()->remember("since", 7));
    REQUIRE(bed.close());
  }
  store_bed bed{k.how()};
  CHECK(copied(bed, "c") == at);
  CHECK(bed.writer->open(named("c"))->mirrored == model::seq{1});
  CHECK(*bed.writer->ledger()->remember("since", 8) == 7);
}

TEST_CASE("confab check names a stream whose place is before its newest copy") {
  on_disk k;
  auto how = k.how();
  {
    store_bed bed{how};
    bed.commit({copies_behind("c", {}, std::nullopt, {2, {10, 0}}, {"1", "2"})});
    bed.commit({copies_behind("d", {}, std::nullopt, {1, {10, 0}}, {"1"})});
    REQUIRE(bed.close());
  }
  auto defects = [&] {
    auto summary = store::check(how.directory, [](const std::string&) {});
    REQUIRE(summary);
    return summary->defects;
  };
  CHECK(defects() == 0);
  {
    store::database db{{how.directory / "confab.db", "", false, 0}};
    db.run("damaging", "UPDATE sources SET ms = 9 WHERE name = 'c';"
                       "DELETE FROM sources WHERE name = 'd';");
  }
  CHECK(defects() == 2);
}
