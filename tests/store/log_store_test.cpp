// What every store promises: the same cases on disk, in memory and on Redis.
#include "store/store_bed.hpp"

using namespace confab;
using namespace confab::test;
using model::code;

// Where nobody else adds: seq and id are what the append says.
#define OWN_STORE_TEST(name) TEST_CASE_TEMPLATE(name, kind, on_disk, in_memory)
#define STORE_TEST(name) TEST_CASE_TEMPLATE(name, kind, on_disk, in_memory, in_redis)

STORE_TEST("a conversation that does not exist has an empty epoch, first 1 and last 0") {
  kind k;
  store_bed bed{k.how()};
  CHECK(bed.state("c") == model::log_state{});
  CHECK(bed.page("c").state == model::log_state{});
  auto located = bed.reader->locate(named("c"), {1});
  REQUIRE(located);
  CHECK_FALSE(located->found);
}

STORE_TEST("the first append creates the log, and what was committed is read back whole") {
  kind k;
  store_bed bed{k.how()};
  store::chain chain{named("c"), {}, "text/plain", {}};
  auto made = append_behind({}, {{std::string{"zero\0inside", 11}, "two"}, "p", 7, "5-1"}, noon_ms);
  made->entries[0].message = "m1";
  made->entries[0].kind = "chunk";
  made->entries[1].time_ms = -1;
  for (auto& x : made->entries)
    x.form = model::payload_form::text;
  chain.appends.push_back(made);
  auto outcome = bed.commit({chain}).front();
  CHECK_FALSE(outcome.failure);
  CHECK(outcome.committed == 1);
  CHECK(outcome.state.tail == model::seq{2});
  CHECK(outcome.state.tail_id == made->entries[1].id);
  CHECK(model::parse_epoch(outcome.state.epoch.text));
  CHECK(outcome.state.epoch.text.ends_with(".1"));

  CHECK(bed.page("c").entries == made->entries);
  CHECK(bed.page("c").state == outcome.state);
  auto head = bed.writer->open(named("c"));
  REQUIRE(head);
  CHECK(head->settings.content_type == "text/plain");
  CHECK(head->state == outcome.state);
}

STORE_TEST("a chain without appends creates an empty log") {
  kind k;
  store_bed bed{k.how()};
  auto outcome = bed.commit({store::chain{named("c"), {}, "text/plain", {}}}).front();
  CHECK_FALSE(outcome.failure);
  CHECK_FALSE(outcome.state.epoch.empty());
  CHECK(outcome.state.tail == model::seq{0});
  CHECK(bed.state("c") == outcome.state);
}

OWN_STORE_TEST("a chain is refused from the first append that does not follow the log") {
  kind k;
  store_bed bed{k.how()};
  bed.publish("c", "1");
  auto log = bed.state("c");

  auto hole = chain_behind("c", log, {batch{{"2"}}, batch{{"3"}}, batch{{"4"}}});
  hole.appends.erase(hole.appends.begin() + 1);
  auto outcome = bed.commit({hole}).front();
  CHECK(outcome.committed == 1);
  REQUIRE(outcome.failure);
  CHECK(outcome.failure->what == code::moved);
  CHECK(outcome.state.tail == model::seq{2});
  CHECK(bed.payloads("c") == std::vector<std::string>{"1", "2"});
}

OWN_STORE_TEST("an id that does not rise is refused") {
  kind k;
  store_bed bed{k.how()};
  bed.publish("c", "1");
  auto chain = chain_behind("c", bed.state("c"), {batch{{"2"}}});
  auto stale = std::make_shared<store::append>(*chain.appends[0]);
  stale->entries[0].id = bed.state("c").tail_id;
  chain.appends[0] = stale;
  auto outcome = bed.commit({chain}).front();
  REQUIRE(outcome.failure);
  CHECK(outcome.failure->what == code::store_failed);
  CHECK(bed.payloads("c").size() == 1);
}

STORE_TEST("a chain of another epoch, of a closed log or of another content type is refused") {
  kind k;
  store_bed bed{k.how()};
  bed.publish("c", "1");
  auto log = bed.state("c");
  auto refusal = [&](store::chain x) {
    auto outcome = bed.commit({x}).front();
    CHECK(outcome.committed == 0);
    CHECK(outcome.state == bed.state("c"));
    REQUIRE(outcome.failure);
    return outcome.failure->what;
  };
  auto next = chain_behind("c", log, {batch{{"2"}}});
  auto other = next;
  other.epoch.text = "zzzzzzzz.1";
  CHECK(refusal(other) == code::moved);
  other.epoch.text.clear();
  CHECK(refusal(other) == code::moved);
  other = next;
  other.content_type = "text/plain";
  CHECK(refusal(other) == code::content_type);

  auto closed = bed.writer->close(named("c"));
  REQUIRE(closed);
  CHECK(closed->life == model::lifecycle::closed);
  CHECK(closed->tail == log.tail);
  CHECK(bed.writer->close(named("c")));
  CHECK(refusal(next) == code::closed);
  CHECK(bed.page("c").state.life == model::lifecycle::closed);
  CHECK(bed.writer->close(named("none")).why().what == code::not_found);
}

STORE_TEST("chains of one commit are independent: one that is refused takes no other with it") {
  kind k;
  store_bed bed{k.how()};
  auto bad = chain_behind("b", {}, {batch{{"x"}}});
  bad.epoch.text = "zzzzzzzz.1";
  auto outcomes = bed.commit({chain_behind("a", {}, {batch{{"1"}}, batch{{"2", "3"}}}), bad,
                              chain_behind("c", {}, {batch{{"4"}}})});
  CHECK(outcomes[0].committed == 2);
  CHECK(outcomes[1].failure->what == code::moved);
  CHECK(outcomes[1].state == model::log_state{});
  CHECK(outcomes[2].committed == 1);
  CHECK(bed.payloads("a") == std::vector<std::string>{"1", "2", "3"});
  CHECK(bed.state("b").epoch.empty());
}

STORE_TEST("a page begins at the log's first, ends at its bounds, and says whether it can change") {
  kind k;
  store_bed bed{k.how()};
  for (int i = 1; i <= 5; ++i)
    bed.publish("c", std::to_string(i));
  CHECK(bed.page("c", 2, 4).entries.size() == 3);
  CHECK(bed.page("c", 2, 4).full);
  CHECK(bed.page("c", 2, 4).state.tail == model::seq{5});
  CHECK(bed.page("c", 2, 5).full);
  CHECK_FALSE(bed.page("c", 2, 6).full);
  CHECK(bed.page("c", 0, 1).entries.size() == 1);
  CHECK(bed.page("c", 6, 9).entries.empty());
  CHECK_FALSE(bed.page("c", 6, 9).full);

  std::string big(100'000, 'x');
  bed.publish("big", {batch{{big, big, big}}, batch{{std::string(600'000, 'y')}}, batch{{"z"}}});
  CHECK(bed.page("big").entries.size() == 2);
  CHECK(bed.page("big").full);
  CHECK(bed.page("big", 4).entries.size() == 1);
  CHECK(bed.page("big", 5).entries.size() == 1);

  bed.publish("many", {batch{std::vector<std::string>(1500, "1")}});
  CHECK(bed.page("many").entries.size() == model::page_entries_max);
  CHECK(bed.page("many").full);
}

OWN_STORE_TEST("a place is located by its source id") {
  kind k;
  store_bed bed{k.how()};
  bed.publish("c", {batch{{"1"}, "", 0, "77-3"}}, noon_ms);
  bed.publish("c", "2", noon_ms + 10);
  auto at = [&](model::entry_id x) {
    auto located = bed.reader->locate_id(named("c"), x);
    REQUIRE(located);
    return located->found ? located->found->at.value : 0;
  };
  CHECK(at({77, 3}) == 1);
  CHECK(at({77, 4}) == 0);
}

STORE_TEST("a place is located by seq and by the last id not beyond") {
  kind k;
  store_bed bed{k.how()};
  bed.publish("c", "1", noon_ms);
  for (int i = 1; i <= 20; ++i)
    bed.publish("c", "x", noon_ms + 10 * i);
  auto id = bed.page("c", 5, 5).entries[0].id;
  auto at = [&](model::entry_id x) {
    auto located = bed.reader->locate_id(named("c"), x);
    REQUIRE(located);
    CHECK(located->head.state == bed.state("c"));
    return located->found ? located->found->at.value : 0;
  };
  CHECK(at(id) == 5);
  CHECK(at({id.ms, id.n + 3}) == 5);
  CHECK(at({id.ms + 9, 0}) == 5);
  CHECK(at({id.ms + 10, 0}) == 6);
  CHECK(at({noon_ms + 99'999, 0}) == 21);
  CHECK(at({77, 4}) == 0);

  auto located = bed.reader->locate(named("c"), {5});
  REQUIRE(located);
  CHECK(located->found == model::position{bed.state("c").epoch, {5}, id});
  CHECK(located->head.settings.content_type == "application/json");
  CHECK_FALSE(bed.reader->locate(named("c"), {22})->found);
  CHECK_FALSE(bed.reader->locate(named("c"), {0})->found);
}

STORE_TEST("a producer's last batch is remembered until its ttl, an internal one's is not") {
  kind k;
  auto how = k.how();
  how.producer_ttl_s = 60;
  store_bed bed{how};
  bed.publish("c", {batch{{"1"}, "p", 4, "", 2}, batch{{"2", "3"}, "p", 5, "", 2},
                    batch{{"4"}, "~n:1", 9}, batch{{"5"}, "=key", 1, "", 0, 0xfedcba9876543210}});
  auto row = bed.writer->producer(named("c"), "p", noon_ms);
  REQUIRE(row);
  REQUIRE(*row);
  CHECK((*row)->epoch == 2);
  CHECK((*row)->number == 5);
  CHECK((*row)->last == model::receipt{{2}, 2, bed.page("c", 2, 2).entries[0].id, false});
  auto key = bed.writer->producer(named("c"), "=key", noon_ms);
  REQUIRE(*key);
  CHECK((*key)->fingerprint == 0xfedcba9876543210);
  CHECK((*key)->last.first == model::seq{5});
  CHECK_FALSE(*bed.writer->producer(named("c"), "key", noon_ms));
  CHECK_FALSE(*bed.writer->producer(named("c"), "~n:1", noon_ms));
  CHECK_FALSE(*bed.writer->producer(named("none"), "p", noon_ms));

  CHECK(*bed.writer->producer(named("c"), "p", noon_ms + 60'000));
  CHECK_FALSE(*bed.writer->producer(named("c"), "p", noon_ms + 60'001));
  bed.retain_all(noon_ms + 60'001);
  CHECK_FALSE(*bed.writer->producer(named("c"), "p", noon_ms));
  CHECK_FALSE(*bed.writer->producer(named("c"), "=key", noon_ms));
}

STORE_TEST("an older number's receipt is read back, over 256 numbers") {
  kind k;
  store_bed bed{k.how()};
  std::vector<batch> batches;
  for (std::uint64_t n = 1; n <= 300; ++n) {
    batches.push_back({{"a", "b"}, "p", n});
    batches.push_back({{"c"}, "q", n});
  }
  bed.publish("c", batches);
  auto receipt = [&](std::uint64_t n) { return *bed.writer->older_receipt(named("c"), "p", n); };
  REQUIRE(receipt(299));
  CHECK(*receipt(299) == model::receipt{{895}, 2, bed.page("c", 895, 895).entries[0].id, true});
  REQUIRE(receipt(300));
  CHECK(receipt(300)->first == model::seq{898});
  REQUIRE(receipt(44));
  CHECK(receipt(44)->first == model::seq{130});
  CHECK_FALSE(receipt(43));
  CHECK_FALSE(receipt(301));
  CHECK_FALSE(*bed.writer->older_receipt(named("c"), "unknown", 1));
}

STORE_TEST("a number of a producer's earlier epoch is no receipt for its later one") {
  kind k;
  store_bed bed{k.how()};
  bed.publish(
      "c", {batch{{"1"}, "p", 9, "", 1}, batch{{"2"}, "p", 7, "", 2}, batch{{"3"}, "p", 8, "", 2}});
  CHECK(*bed.writer->older_receipt(named("c"), "p", 7));
  CHECK_FALSE(*bed.writer->older_receipt(named("c"), "p", 6));
  bed.publish("d", {batch{{"1"}, "p", 5, "", 1}, batch{{"2"}, "p", 6, "", 1}});
  bed.publish("d", {batch{{"3"}, "p", 6, "", 2}}, noon_ms + 1);
  CHECK(bed.writer->older_receipt(named("d"), "p", 6)->value().first == model::seq{3});
}

STORE_TEST("a cursor moves forward only, until its epoch or its ttl ends") {
  kind k;
  auto how = k.how();
  how.cursor_ttl_s = 60;
  store_bed bed{how};
  for (int i = 0; i < 5; ++i)
    bed.publish("c", "x");
  auto epoch = bed.state("c").epoch;
  store::cursor_key key{"u", "phone", named("c")};
  auto move = [&](std::uint64_t at, std::int64_t now_ms = noon_ms) {
    store::cursor_move x{key, epoch, {at}};
    CHECK(bed.writer->move_cursors({&x, 1}, now_ms));
    auto cursor = bed.reader->cursor(key, now_ms);
    REQUIRE(cursor);
    return *cursor;
  };
  CHECK_FALSE(*bed.reader->cursor(key, noon_ms));
  CHECK(move(3) == model::position{epoch, {3}, bed.page("c", 3, 3).entries[0].id});
  CHECK(move(2)->at == model::seq{3});
  CHECK(move(5)->at == model::seq{5});
  CHECK(move(6)->at == model::seq{5});
  CHECK_FALSE(*bed.reader->cursor({"u", "laptop", named("c")}, noon_ms));
  CHECK_FALSE(*bed.reader->cursor(key, noon_ms + 60'001));
  CHECK(move(1, noon_ms + 60'001)->at == model::seq{1});

  REQUIRE(bed.writer->remove(named("c")));
  CHECK_FALSE(*bed.reader->cursor(key, noon_ms));
  bed.publish("c", "new");
  CHECK_FALSE(move(1));
  epoch = bed.state("c").epoch;
  CHECK(move(1)->epoch == epoch);
}

STORE_TEST(
    "a removed log is gone at once with all it had, and its name begins anew in another epoch") {
  kind k;
  store_bed bed{k.how()};
  bed.publish("c", {batch{std::vector<std::string>(1000, "1"), "p", 1, "8-8"}});
  for (int i = 0; i < 11; ++i)
    bed.publish("c", {batch{std::vector<std::string>(1000, "1")}});
  auto before = bed.state("c");
  CHECK(bed.writer->remove(named("c")));
  CHECK(bed.state("c") == model::log_state{});
  CHECK(bed.page("c").entries.empty());
  CHECK(bed.writer->remove(named("c")).why().what == code::not_found);

  auto outcome = bed.publish("c", R"("again")");
  CHECK(outcome.state.tail == model::seq{1});
  CHECK(outcome.state.epoch != before.epoch);
  CHECK_FALSE(*bed.writer->producer(named("c"), "p", noon_ms));
  bed.retain_all(noon_ms);
  CHECK(bed.payloads("c") == std::vector<std::string>{R"("again")"});
  auto stale = bed.commit({chain_behind("c", before, {batch{{"x"}}})}).front();
  CHECK(stale.failure->what == code::moved);
}

OWN_STORE_TEST("retention trims by bytes") {
  kind k;
  auto how = k.how();
  how.retention = *model::parse_retention("b:* - - 350");
  store_bed bed{how};
  for (int i = 1; i <= 10; ++i)
    bed.publish("b:1", "0123456789", noon_ms + 1000 * i);
  CHECK(bed.retain_all(noon_ms + 10'000).size() == 1);
  // An entry weighs 86 bytes.
  CHECK(bed.state("b:1").first == model::seq{7});
  CHECK(bed.page("b:1").entries.size() == 4);
  CHECK(bed.page("b:1", 3).entries.front().at == model::seq{7});
}

STORE_TEST("retention trims in steps by count and age, and a wholly trimmed log keeps its tail") {
  kind k;
  auto how = k.how();
  how.retention = *model::parse_retention("n:* - 3 -, t:* 60s - -");
  store_bed bed{how};
  for (const char* name : {"n:1", "t:1", "other"})
    for (int i = 1; i <= 10; ++i)
      bed.publish(name, "0123456789", noon_ms + 1000 * i);
  auto tail = bed.state("t:1");
  auto trims = bed.retain_all(noon_ms + 10'000);
  CHECK(trims.size() == 1);
  CHECK(bed.state("n:1").first == model::seq{8});
  CHECK(trims.at("n:1") == bed.state("n:1"));
  CHECK(bed.page("n:1", 3).entries.front().at == model::seq{8});

  bed.retain_all(noon_ms + 65'000);
  CHECK(bed.state("t:1").first == model::seq{5});
  bed.retain_all(noon_ms + 165'000);
  auto empty = bed.state("t:1");
  CHECK(empty.first == model::seq{11});
  CHECK(empty.tail == model::seq{10});
  CHECK(empty.tail_id == tail.tail_id);
  CHECK(bed.page("t:1").entries.empty());
  CHECK(bed.reader->locate_id(named("t:1"), tail.tail_id)->found->at == model::seq{10});
  CHECK_FALSE(bed.reader->locate_id(named("t:1"), {1, 0})->found);
  CHECK(bed.publish("t:1", "7", noon_ms + 165'000).state.tail == model::seq{11});
  CHECK(bed.payloads("t:1") == std::vector<std::string>{"7"});
  CHECK(bed.page("other").entries.size() == 10);
}

STORE_TEST("one step of retention removes at most 500 entries and says that there is more") {
  kind k;
  auto how = k.how();
  how.retention = *model::parse_retention("* - 1 -");
  store_bed bed{how};
  bed.publish(
      "c", {batch{std::vector<std::string>(900, "1")}, batch{std::vector<std::string>(900, "1")}});
  bool more = false;
  auto trims = bed.writer->retain(noon_ms, more);
  REQUIRE(trims.size() == 1);
  CHECK(trims[0].state.first == model::seq{501});
  CHECK(more);
  bed.retain_all(noon_ms);
  CHECK(bed.state("c").first == model::seq{1800});
}
