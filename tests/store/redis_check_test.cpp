// `confab check` of logs in Redis: it is silent about whole ones, and names each defect.
#include "store/log_check.hpp"
#include "store/redis_bed.hpp"

using namespace confab;
using namespace confab::test;

namespace {

/// A Redis with a log that was published to, added to by others, and trimmed.
struct checked_bed : redis_bed {
  checked_bed() {
    for (int i = 0; i < 3; ++i)
      add("c", std::to_string(i));
    REQUIRE(bed->writer->open(named("c")));
    auto log = bed->state("c");
    REQUIRE_FALSE(bed->commit({chain_behind("c", log, {{{"3", "4"}, "p", 1}})}).front().failure);
    redis.ask({"XTRIM", "stream:conversation:c", "MAXLEN", "4"});
  }

  /// Defects, one per line.
  std::string defects() {
    std::string all;
    summary = *store::check_redis(log_options(redis).redis,
                                  [&](const std::string& x) { all += x + '\n'; });
    return all;
  }
  store::check_summary summary;
};

} // namespace

TEST_CASE_FIXTURE(checked_bed, "logs that are whole have no defect, trimmed or not") {
  add("d", "others have added it, and nobody has read it");
  CHECK(defects().empty());
  CHECK(summary.conversations == 1);
  CHECK(summary.entries == 4);
  CHECK(summary.defects == 0);
  redis.ask({"XTRIM", "stream:conversation:c", "MAXLEN", "0"});
  CHECK(defects().empty());
  CHECK(summary.entries == 0);
}

TEST_CASE_FIXTURE(checked_bed, "an entry that XDEL removed is a defect") {
  auto page = redis.ask({"XRANGE", "stream:conversation:c", "-", "+"});
  redis.ask({"XDEL", "stream:conversation:c", page.elements[1].elements[0].text});
  CHECK(defects().find("XDEL") != std::string::npos);
}

TEST_CASE_FIXTURE(checked_bed, "a stream that is gone, or another one, is a defect") {
  redis.ask({"DEL", "stream:conversation:c"});
  CHECK(defects().find("entries are lost") != std::string::npos);
  for (int i = 0; i < 5; ++i)
    add("c", "other");
  auto found = defects();
  CHECK(found.find("the stream lost what it had") != std::string::npos);
  CHECK(found.find("producer p, number 1") != std::string::npos);
  CHECK(summary.defects == 2);
}

TEST_CASE_FIXTURE(checked_bed, "forks are whole, or what they lack in their sources is a defect") {
  model::creation what;
  auto fork = [&](const char* name, const char* source, std::uint64_t at) {
    what.fork = model::fork_point{.source = named(source), .at = model::position{{}, {at}, {}}};
    REQUIRE(bed->writer->create(named(name), what, noon_ms));
  };
  fork("f", "c", 4);
  bed->publish("f", "5");
  fork("g", "f", 3); // before the place where its source begins
  fork("h", "f", 5);
  REQUIRE(bed->writer->remove(named("f")));
  CHECK(defects().empty());
  CHECK(summary.conversations == 4);
  redis.ask({"XTRIM", "stream:conversation:c", "MAXLEN", "1"});
  CHECK(defects().empty());
  auto origin = redis.ask({"HGET", "confab:log:h", "fork"}).text;
  auto broken = [&](const std::string& was, const std::string& is) {
    auto text = origin;
    text.replace(text.find(was), was.size(), is);
    redis.ask({"HSET", "confab:log:h", "fork", text});
    auto found = defects();
    redis.ask({"HSET", "confab:log:h", "fork", origin});
    return found;
  };
  auto id = to_string(bed->state("h").tail_id);
  CHECK(broken(id, "99999999999999-0").find("the last one that is shared") != std::string::npos);
  CHECK(broken(" 5 ", " 6 ").find("fork h: names seq 6") != std::string::npos);
  CHECK(broken(".1", ".2").find("is another log by now") != std::string::npos);
  CHECK(broken(" ", "").find("fork: is not what Confab writes") != std::string::npos);
  redis.ask({"SREM", "confab:forks:c", "f"});
  CHECK(defects().find("f: confab:forks:c does not name it") != std::string::npos);
}

TEST_CASE_FIXTURE(checked_bed, "what hashes hold that Confab never wrote is a defect") {
  redis.ask({"HSET", "confab:producer:c", "q", "nonsense"});
  redis.ask({"HSET", "confab:producer:c", "q\n1", "0 1 2"});
  redis.ask({"HSET", "confab:log:c", "last", "7"});
  defects();
  CHECK(summary.defects == 3);
  redis.ask({"DEL", "confab:log:c"});
  CHECK(defects().find("has no epoch") != std::string::npos);
}

TEST_CASE_FIXTURE(checked_bed,
                  "counts that were set by hand, and a key of another type, are defects") {
  redis.ask({"XSETID", "stream:conversation:c", "99999999999999-0", "ENTRIESADDED", "4"});
  CHECK_FALSE(defects().empty());
  redis.ask({"SET", "stream:conversation:c", "x"});
  CHECK(defects().find("WRONGTYPE") != std::string::npos);
}
