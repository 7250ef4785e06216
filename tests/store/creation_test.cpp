// How logs begin, close and end by their deadline: the same cases on disk, in memory and on Redis.
#include "store/store_bed.hpp"

using namespace confab;
using namespace confab::test;
using model::code;

#define STORE_TEST(name) TEST_CASE_TEMPLATE(name, kind, on_disk, in_memory, in_redis)

namespace {

model::draft said(const std::string& payload) {
  return {.sender = "a", .payload = payload, .message = {}, .source_id = {}};
}

model::creation of_type(const std::string& type, std::vector<model::draft> drafts = {}) {
  model::creation x;
  x.content_type = type;
  x.drafts = std::move(drafts);
  return x;
}

/// A store whose readers' clock the test moves.
template <class Kind>
struct clocked {
  Kind k;
  std::int64_t now_ms = noon_ms;
  store::options how() {
    auto x = k.how();
    x.wall_ms = [this] { return now_ms; };
    return x;
  }
};

code refusal(const model::result<model::created>& x) {
  REQUIRE_FALSE(x);
  return x.why().what;
}

} // namespace

STORE_TEST("a creation makes an empty log with an epoch, or one with its first entries") {
  kind k;
  store_bed bed{k.how()};
  auto empty = bed.writer->create(named("e"), of_type("image/png"), noon_ms);
  REQUIRE(empty);
  CHECK_FALSE(empty->existed);
  CHECK_FALSE(empty->state.epoch.empty());
  CHECK(empty->state.tail == model::seq{0});
  auto full =
      bed.writer->create(named("f"), of_type("text/plain", {said("x"), said("y")}), noon_ms);
  REQUIRE(full);
  CHECK(full->state == bed.state("f"));
  CHECK(bed.payloads("f") == std::vector<std::string>{"x", "y"});
  CHECK(bed.page("f").entries[1].form == model::payload_form::text);
  auto more = chain_behind("f", full->state, {batch{{"z"}}});
  more.content_type = "Text/Plain; charset=utf-8";
  CHECK_FALSE(bed.commit({more}).front().failure);
}

STORE_TEST("a creation is repeated with the same configuration only, and appends nothing then") {
  kind k;
  store_bed bed{k.how()};
  auto what = of_type("text/plain", {said("x")});
  what.lifetime.ttl_s = 60;
  REQUIRE(bed.writer->create(named("c"), what, noon_ms));
  auto again = bed.writer->create(named("c"), what, noon_ms + 5);
  REQUIRE(again);
  CHECK(again->existed);
  CHECK(again->state.tail == model::seq{1});
  what.content_type = "TEXT/plain";
  CHECK(bed.writer->create(named("c"), what, noon_ms));
  auto other = what;
  other.content_type = "application/json";
  CHECK(refusal(bed.writer->create(named("c"), other, noon_ms)) == code::conflict);
  other = what;
  other.lifetime.ttl_s = 61;
  CHECK(refusal(bed.writer->create(named("c"), other, noon_ms)) == code::conflict);
  other = what;
  other.closed = true;
  CHECK(refusal(bed.writer->create(named("c"), other, noon_ms)) == code::conflict);
  other = what;
  other.fork = model::fork_point{.source = named("d")};
  CHECK(refusal(bed.writer->create(named("c"), other, noon_ms)) == code::conflict);
  CHECK(refusal(bed.writer->create(named("n"), of_type("nonsense"), noon_ms)) == code::bad_request);
  CHECK(bed.state("n").epoch.empty());
}

STORE_TEST("a log that was created closed holds its entries and takes no more") {
  kind k;
  store_bed bed{k.how()};
  auto what = of_type("application/json", {said("1")});
  what.closed = true;
  auto made = bed.writer->create(named("c"), what, noon_ms);
  REQUIRE(made);
  CHECK(made->state.life == model::lifecycle::closed);
  CHECK(bed.publish("c", "2").failure->what == code::closed);
  CHECK(bed.payloads("c") == std::vector<std::string>{"1"});
}

STORE_TEST("an append closes its log in the same commit, with and without entries") {
  kind k;
  store_bed bed{k.how()};
  for (const std::vector<std::string>& payloads : {std::vector<std::string>{"last"}, {}}) {
    auto name = payloads.empty() ? "empty" : "full";
    bed.publish(name, {batch{{"1"}, "p", 6}});
    auto log = bed.state(name);
    auto closing =
        std::make_shared<store::append>(*append_behind(log, {payloads, "p", 7}, noon_ms));
    closing->closes = true;
    store::chain chain{named(name), log.epoch, "application/json", {closing}};
    auto outcome = bed.commit({chain}).front();
    CHECK_FALSE(outcome.failure);
    CHECK(outcome.state.life == model::lifecycle::closed);
    CHECK(bed.page(name).state == outcome.state);
    CHECK(bed.publish(name, "no").failure->what == code::closed);
    // Its number is remembered, also without an entry; an older one is still found behind it.
    auto row = bed.writer->producer(named(name), "p", noon_ms);
    REQUIRE((row && *row));
    CHECK((*row)->number == 7);
    CHECK((*row)->last.last() == outcome.state.tail);
    CHECK((*row)->last.last_id() == outcome.state.tail_id);
    auto older = bed.writer->older_receipt(named(name), "p", 6);
    REQUIRE((older && *older));
    CHECK((*older)->first == model::seq{1});
  }
}

STORE_TEST("a Stream-Seq rises byte by byte, and what is not beyond the last one is refused") {
  kind k;
  store_bed bed{k.how()};
  bed.publish("c", "0");
  auto outcome_of = [&](const std::string& stream_seq) {
    auto log = bed.state("c");
    auto x = std::make_shared<store::append>(*append_behind(log, {{"x"}}, noon_ms));
    x->stream_seq = stream_seq;
    store::chain chain{named("c"), log.epoch, "application/json", {x}};
    auto outcome = bed.commit({chain}).front();
    return outcome.failure ? std::string{to_string(outcome.failure->what)} : "taken";
  };
  CHECK(outcome_of("2") == "taken");
  CHECK(outcome_of("10") == "stream_seq");
  CHECK(outcome_of("2") == "stream_seq");
  CHECK(outcome_of("2a") == "taken");
  CHECK(outcome_of("") == "taken");
  CHECK(outcome_of("\xff") == "taken");
  CHECK(outcome_of("z") == "stream_seq");
  CHECK(bed.writer->open(named("c"))->stream_seq == "\xff");
  CHECK(bed.state("c").tail == model::seq{5});
}

STORE_TEST("a log that has expired is gone for readers and writers, and its name is free") {
  clocked<kind> k;
  store_bed bed{k.how()};
  auto what = of_type("text/plain", {said("old")});
  what.lifetime.expires_ms = noon_ms + 1000;
  auto made = bed.writer->create(named("c"), what, noon_ms);
  REQUIRE(made);
  k.now_ms = noon_ms + 999;
  CHECK(bed.payloads("c").size() == 1);
  k.now_ms = noon_ms + 1000;
  CHECK(bed.page("c").state == model::log_state{});
  CHECK(bed.reader->locate(named("c"), {1})->head == store::log_head{});
  CHECK(bed.state("c").epoch.empty());
  CHECK(bed.writer->close(named("c")).why().what == code::not_found);
  CHECK(bed.writer->remove(named("c")).why().what == code::not_found);
  auto late = chain_behind("c", made->state, {batch{{"late"}}}, k.now_ms);
  late.content_type = "text/plain";
  CHECK(bed.commit({late}, k.now_ms).front().failure->what == code::moved);
  // By a first publish, or by a creation of another configuration.
  CHECK_FALSE(bed.publish("c", R"("new")", k.now_ms).failure);
  CHECK(bed.payloads("c") == std::vector<std::string>{R"("new")"});
  CHECK(bed.state("c").epoch != made->state.epoch);
}

STORE_TEST("a ttl begins anew with each use, is kept, and never ends early") {
  clocked<kind> k;
  store_bed bed{k.how()};
  auto what = of_type("text/plain");
  what.lifetime.ttl_s = 16;
  auto made = bed.writer->create(named("c"), what, noon_ms);
  REQUIRE(made);
  auto life = made->settings.lifetime;
  CHECK(*life.expires_ms == noon_ms + 17'000);
  CHECK_FALSE(life.renewed(noon_ms + 1000));
  auto deadline = life.renewed(noon_ms + 1001);
  REQUIRE(deadline);
  REQUIRE(bed.writer->touch(named("c"), made->state.epoch, *deadline));
  REQUIRE(bed.writer->touch(named("c"), {"another.1"}, noon_ms));
  k.now_ms = noon_ms + 18'000;
  CHECK_FALSE(bed.state("c").epoch.empty());
  auto x = std::make_shared<store::append>(*append_behind(made->state, {{"x"}}, k.now_ms));
  x->expires_ms = k.now_ms + 17'000;
  REQUIRE_FALSE(
      bed.commit({{named("c"), made->state.epoch, "text/plain", {x}}}, k.now_ms).front().failure);
  k.now_ms += 16'999;
  CHECK(bed.payloads("c").size() == 1);
  k.now_ms += 1;
  CHECK(bed.payloads("c").empty());
}

STORE_TEST("retention removes what has expired") {
  clocked<kind> k;
  store_bed bed{k.how()};
  auto what = of_type("text/plain", {said("x")});
  what.lifetime.expires_ms = noon_ms + 1;
  for (const auto* name : {"a", "b", "c"})
    REQUIRE(bed.writer->create(named(name), what, noon_ms));
  bed.publish("d", "stays");
  bed.retain_all(noon_ms + 1);
  // By the readers' clock they would still be there.
  for (const auto* name : {"a", "b", "c"})
    CHECK(bed.page(name).state.epoch.empty());
  CHECK(bed.payloads("d").size() == 1);
}

TEST_CASE("closing, Stream-Seq, content type and deadline are there after a restart") {
  clocked<on_disk> k;
  model::log_state before;
  {
    store_bed bed{k.how()};
    auto what = of_type("text/csv", {said("x")});
    what.lifetime.ttl_s = 60;
    auto made = bed.writer->create(named("c"), what, noon_ms);
    REQUIRE(made);
    auto x = std::make_shared<store::append>(*append_behind(made->state, {{"y"}}, noon_ms));
    x->stream_seq = "s1";
    x->closes = true;
    before = bed.commit({{named("c"), made->state.epoch, "text/csv", {x}}}).front().state;
    REQUIRE(bed.close());
  }
  store_bed bed{k.how()};
  auto head = bed.writer->open(named("c"));
  REQUIRE(head);
  CHECK(head->state == before);
  CHECK(head->state.life == model::lifecycle::closed);
  CHECK(head->stream_seq == "s1");
  CHECK(head->settings.content_type == "text/csv");
  CHECK(head->settings.lifetime.ttl_s == 60U);
  k.now_ms = *head->settings.lifetime.expires_ms;
  CHECK(bed.state("c").epoch.empty());
}
