// Forks: shared entries, soft deletion and what retention takes; the same cases on disk, in memory
// and on Redis.
#include "store/sqlite_database.hpp"
#include "store/store_bed.hpp"

using namespace confab;
using namespace confab::test;
using model::code;

#define STORE_TEST(name) TEST_CASE_TEMPLATE(name, kind, on_disk, in_memory, in_redis)

namespace {

using payload_list = std::vector<std::string>;

struct fork_bed : store_bed {
  using store_bed::store_bed;

  void make(const std::string& name, const payload_list& payloads,
            const std::string& type = "text/plain") {
    model::creation x;
    x.content_type = type;
    for (const auto& y : payloads)
      x.drafts.push_back({.sender = "a", .payload = y, .message = {}, .source_id = {}});
    auto made = writer->create(named(name), x, noon_ms);
    REQUIRE_MESSAGE(made, made.why().detail);
  }
  static model::creation fork_of(const std::string& source, std::optional<std::uint64_t> at = {},
                                 std::uint64_t beyond = 0) {
    model::creation x;
    x.fork = model::fork_point{.source = named(source)};
    if (at)
      x.fork->at = model::position{{}, {*at}, {}};
    x.fork->beyond = beyond;
    return x;
  }
  model::created fork(const std::string& name, const std::string& source,
                      std::optional<std::uint64_t> at = {}, std::uint64_t beyond = 0) {
    auto made = writer->create(named(name), fork_of(source, at, beyond), noon_ms);
    REQUIRE_MESSAGE(made, made.why().detail);
    return *made;
  }
  std::string refusal(const std::string& name, const model::creation& what) {
    auto made = writer->create(named(name), what, noon_ms);
    return made ? "made" : std::string{to_string(made.why().what)};
  }
  void say(const std::string& name, const std::string& payload) {
    auto head = writer->open(named(name));
    auto chain = chain_behind(name, head->state, {batch{{payload}}});
    chain.content_type = head->settings.content_type;
    auto outcome = commit({chain}).front();
    REQUIRE_FALSE(outcome.failure);
  }
  bool is_gone(const std::string& name) { return reader->locate(named(name), {1})->head.gone; }
};

} // namespace

STORE_TEST(
    "a fork shows its source's entries up to where it left, with their seqs and ids, then its "
    "own") {
  kind k;
  fork_bed bed{k.how()};
  bed.make("s", {"A", "B", "C"});
  auto made = bed.fork("f", "s", 2);
  CHECK(made.state.tail == model::seq{2});
  CHECK(made.state.epoch != bed.state("s").epoch);
  CHECK(made.state.tail_id == bed.page("s").entries[1].id);
  bed.say("f", "x");
  bed.say("s", "D");
  CHECK(bed.payloads("f") == payload_list{"A", "B", "x"});
  CHECK(bed.payloads("s") == payload_list{"A", "B", "C", "D"});
  auto page = bed.page("f");
  CHECK(page.entries[0] == bed.page("s").entries[0]);
  CHECK(page.entries[2].at == model::seq{3});
  CHECK(page.entries[2].id > page.entries[1].id);
  CHECK(bed.page("f", 2, 3).entries.size() == 2);
  CHECK(bed.page("f", 3).entries.size() == 1);
  // A position in the source is one in the fork as long as they are the same.
  auto seen = bed.reader->locate(named("f"), {2});
  REQUIRE((seen && seen->found));
  CHECK(seen->found->id == page.entries[1].id);
  CHECK(seen->head.ancestors == std::vector<model::ancestor>{{bed.state("s").epoch, {2}}});
  CHECK(bed.reader->locate_id(named("f"), page.entries[0].id)->found->at == model::seq{1});
  CHECK(bed.reader->locate_id(named("f"), page.entries[2].id)->found->at == model::seq{3});
}

STORE_TEST("a fork of a closed or empty log is open, and one may begin before the first entry") {
  kind k;
  fork_bed bed{k.how()};
  bed.make("empty", {});
  bed.fork("e", "empty");
  CHECK(bed.payloads("e").empty());
  bed.say("e", "1");
  CHECK(bed.payloads("e") == payload_list{"1"});
  bed.make("s", {"A"});
  REQUIRE(bed.writer->close(named("s")));
  CHECK(bed.fork("f", "s").state.life == model::lifecycle::open);
  bed.say("f", "B");
  CHECK(bed.payloads("f") == payload_list{"A", "B"});
  bed.fork("z", "s", 0);
  CHECK(bed.payloads("z").empty());
  bed.say("z", "own");
  CHECK(bed.payloads("z") == payload_list{"own"});
}

STORE_TEST("a fork within an entry begins with a cut copy of it; of JSON it takes whole entries") {
  kind k;
  fork_bed bed{k.how()};
  bed.make("s", {"first", "second"});
  bed.fork("f", "s", 1, 3);
  bed.say("f", "!");
  CHECK(bed.payloads("f") == payload_list{"first", "sec", "!"});
  bed.fork("g", "f", 1, 2);
  CHECK(bed.payloads("g") == payload_list{"first", "se"});
  bed.fork("whole", "s", 1, 6);
  CHECK(bed.payloads("whole") == payload_list{"first", "second"});
  CHECK(bed.refusal("h", bed.fork_of("s", 1, 7)) == "bad_request");
  CHECK(bed.refusal("h", bed.fork_of("s", 2, 1)) == "bad_request");
  CHECK(bed.refusal("h", bed.fork_of("s", 3)) == "bad_request");
  CHECK(bed.refusal("h", bed.fork_of("s", {}, 1)) == "bad_request");
  bed.make("j", {"1", "2", "3"}, "application/json");
  bed.fork("k", "j", 0, 2);
  CHECK(bed.payloads("k") == payload_list{"1", "2"});
  CHECK(bed.refusal("h", bed.fork_of("j", 1, 3)) == "bad_request");
  CHECK(bed.refusal("f", bed.fork_of("s", 1, 3)) == "made");
  CHECK(bed.refusal("f", bed.fork_of("s", 1, 2)) == "conflict");
  CHECK(bed.refusal("k", bed.fork_of("j", 0, 2)) == "made");
  CHECK(bed.refusal("k", bed.fork_of("j", 0, 1)) == "conflict");
  auto with_body = bed.fork_of("s", 0, 3);
  with_body.drafts.push_back({.sender = "a", .payload = "XY", .message = {}, .source_id = {}});
  REQUIRE(bed.writer->create(named("b"), with_body, noon_ms));
  CHECK(bed.payloads("b") == payload_list{"fir", "XY"});
}

STORE_TEST("a fork has no producers of its source, and takes its type and lifetime") {
  kind k;
  fork_bed bed{k.how()};
  bed.publish("s", {batch{{"1"}, "p", 4}});
  bed.fork("f", "s");
  CHECK_FALSE(*bed.writer->producer(named("f"), "p", noon_ms));
  CHECK_FALSE(*bed.writer->older_receipt(named("f"), "p", 4));
  CHECK(bed.writer->open(named("f"))->settings.content_type == "application/json");
  auto other = bed.fork_of("s");
  other.content_type = "text/plain";
  CHECK(bed.refusal("g", other) == "content_type");
  CHECK(bed.refusal("g", bed.fork_of("none")) == "not_found");
  // What was refused holds nothing.
  REQUIRE(bed.writer->remove(named("f")));
  REQUIRE(bed.writer->remove(named("s")));
  CHECK_FALSE(bed.is_gone("s"));
}

STORE_TEST("forks of forks read through all of them, wherever each has left") {
  kind k;
  fork_bed bed{k.how()};
  bed.make("a", {"A1", "A2"});
  bed.fork("b", "a");
  bed.say("b", "B3");
  bed.fork("c", "b");
  bed.say("c", "C4");
  bed.say("a", "A3");
  CHECK(bed.payloads("c") == payload_list{"A1", "A2", "B3", "C4"});
  bed.fork("d", "c", 1); // before the place where b left a
  bed.say("d", "D2");
  CHECK(bed.payloads("d") == payload_list{"A1", "D2"});
  CHECK(bed.page("c", 2, 3).entries.size() == 2);
}

STORE_TEST("a source that is deleted stays for its forks, and goes with the last of them") {
  kind k;
  fork_bed bed{k.how()};
  bed.make("a", {"A"});
  bed.fork("b", "a");
  bed.say("b", "B");
  bed.fork("c", "b");
  bed.say("c", "C");
  REQUIRE(bed.writer->remove(named("b")));
  REQUIRE(bed.writer->remove(named("a")));
  for (const auto* name : {"a", "b"}) {
    CHECK(bed.is_gone(name));
    CHECK(bed.page(name).state == model::log_state{});
    CHECK(bed.writer->open(named(name))->gone);
    CHECK(bed.writer->remove(named(name)).why().what == code::gone);
    CHECK(bed.writer->close(named(name)).why().what == code::gone);
    CHECK(bed.publish(name, "no").failure->what == code::gone);
    CHECK(bed.refusal(name, {}) == "conflict");
    CHECK(bed.refusal("n", bed.fork_of(name)) == "conflict");
  }
  CHECK(bed.payloads("c") == payload_list{"A", "B", "C"});
  REQUIRE(bed.writer->remove(named("c")));
  for (const auto* name : {"a", "b", "c"}) {
    CHECK_FALSE(bed.is_gone(name));
    CHECK(bed.writer->remove(named(name)).why().what == code::not_found);
    CHECK(bed.refusal(name, {}) == "made");
    CHECK(bed.payloads(name).empty());
  }
}

STORE_TEST("a source that expires stays for its forks; a fork that expires lets it go") {
  kind k;
  auto how = k.how();
  std::int64_t now_ms = noon_ms;
  how.wall_ms = [&] { return now_ms; };
  fork_bed bed{how};
  model::creation short_lived;
  short_lived.lifetime.expires_ms = noon_ms + 10;
  short_lived.drafts.push_back({.sender = "a", .payload = "1", .message = {}, .source_id = {}});
  REQUIRE(bed.writer->create(named("s"), short_lived, noon_ms));
  auto longer = bed.fork_of("s");
  longer.lifetime.expires_ms = noon_ms + 20;
  REQUIRE(bed.writer->create(named("f"), longer, noon_ms));
  CHECK(bed.fork("same", "s").settings.lifetime == short_lived.lifetime);
  now_ms = noon_ms + 10;
  bed.retain_all(now_ms);
  CHECK(bed.is_gone("s"));
  CHECK_FALSE(bed.is_gone("same"));
  CHECK(bed.payloads("same").empty());
  CHECK(bed.payloads("f") == payload_list{"1"});
  now_ms = noon_ms + 20;
  bed.retain_all(now_ms);
  CHECK_FALSE(bed.is_gone("s"));
  CHECK_FALSE(bed.is_gone("f"));
}

STORE_TEST("what retention takes from a source its forks do not have either, and say so") {
  kind k;
  auto how = k.how();
  how.retention = {{.pattern = "s", .entries_max = 1}, {.pattern = "own", .entries_max = 2}};
  fork_bed bed{how};
  bed.make("s", {"1", "2", "3"});
  bed.fork("all", "s");
  bed.fork("two", "s", 2);
  bed.say("two", "x");
  bed.fork("own", "all");
  bed.fork("empty", "s", 1);
  bed.say("own", "4");
  bed.retain_all(noon_ms);
  CHECK(bed.payloads("s") == payload_list{"3"});
  CHECK(bed.payloads("all") == payload_list{"3"});
  CHECK(bed.page("all").state.first == model::seq{3});
  CHECK(bed.payloads("two") == payload_list{"x"});
  CHECK(bed.page("two").state.first == model::seq{3});
  CHECK(bed.payloads("own") == payload_list{"3", "4"});
  CHECK(bed.page("empty").state.first == model::seq{2});
  CHECK(bed.page("empty").state.tail == model::seq{1});
  bed.say("empty", "mine");
  CHECK(bed.payloads("empty") == payload_list{"mine"});
  bed.say("two", "y");
  CHECK(bed.payloads("two") == payload_list{"x", "y"});
  CHECK(bed.refusal("late", bed.fork_of("s", 1)) == "bad_request");
  bed.fork("edge", "s", 2);
  CHECK(bed.payloads("edge").empty());
}

TEST_CASE("forks are read after a restart, and the check finds them whole or names what is wrong") {
  on_disk k;
  auto directory = k.how().directory;
  {
    fork_bed bed{k.how()};
    bed.make("a", {"A1", "A2"});
    bed.fork("b", "a", 1, 1);
    bed.say("b", "B3");
    bed.fork("c", "b");
    bed.say("c", "C4");
    REQUIRE(bed.writer->remove(named("b")));
    REQUIRE(bed.close());
  }
  payload_list defects;
  auto note = [&](const std::string& line) { defects.push_back(line); };
  auto summary = store::check(directory, note);
  REQUIRE(summary);
  CHECK(defects == payload_list{});
  {
    fork_bed bed{k.how()};
    CHECK(bed.payloads("c") == payload_list{"A1", "A", "B3", "C4"});
    CHECK(bed.is_gone("b"));
    REQUIRE(bed.close());
  }
  {
    store::database db{{directory / "confab.db", "", false, 0}};
    db.run("breaking a fork", "UPDATE conversations SET fork_n = fork_n + 1 WHERE name = 'c'");
  }
  summary = store::check(directory, note);
  REQUIRE(summary);
  CHECK(summary->defects > 0);
  CHECK(defects.front().find("the source's entry there") != std::string::npos);
}
