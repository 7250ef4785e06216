// Older logs become today's, with everything in them.
#include "store/sqlite_database.hpp"
#include "store/store_bed.hpp"
#include "store/stream_ledger.hpp"

using namespace confab;
using namespace confab::test;

namespace {

/// What version 3 has added, in the other direction.
const std::string back_to_2 = "UPDATE store SET value = 2 WHERE key = 'schema';"
                              "DROP TABLE sources; ALTER TABLE conversations DROP COLUMN mirrored;";

} // namespace

TEST_CASE(
    "a log of schema version 1 is migrated with its entries, and takes what version 2 knows") {
  scratch_directory scratch;
  store::options how;
  how.directory = scratch / "log";
  {
    store_bed old{how};
    for (const auto* payload : {"1", "2", "3", "4", "5"})
      old.publish("c", payload);
    REQUIRE(old.close());
  }
  // What version 2 has added, in the other direction.
  auto back = back_to_2 + "UPDATE store SET value = 1 WHERE key = 'schema';"
                          "DROP INDEX conversations_by_fork; DROP INDEX conversations_by_expiry;";
  for (const auto* column :
       {"ttl_s", "stream_seq", "gone", "fork_row", "fork_cut", "fork_ms", "fork_n", "fork_bytes"})
    back += std::string{"ALTER TABLE conversations DROP COLUMN "} + column + ';';
  {
    store::database db{{how.directory / "confab.db", "", false, 0}};
    db.run("going back", back);
  }
  CHECK_FALSE(store::check(how.directory, [](const std::string&) {}));

  store_bed bed{how};
  auto names = bed.payloads("c");
  CHECK(names.size() == 5);
  model::creation fork;
  fork.fork = model::fork_point{.source = named("c")};
  fork.lifetime.ttl_s = 60;
  REQUIRE(bed.writer->create(named("f"), fork, noon_ms));
  CHECK(bed.publish("c", "6").failure == std::nullopt);
  REQUIRE(bed.close());
  auto summary = store::check(how.directory, [](const std::string& line) { FAIL_CHECK(line); });
  REQUIRE(summary);
  CHECK(summary->entries == 6);
}

TEST_CASE("a log of schema version 2 is migrated with its entries, and takes copies") {
  scratch_directory scratch;
  store::options how;
  how.directory = scratch / "log";
  {
    store_bed old{how};
    old.publish("c", "1");
    REQUIRE(old.close());
  }
  {
    store::database db{{how.directory / "confab.db", "", false, 0}};
    db.run("going back", back_to_2);
  }
  CHECK_FALSE(store::check(how.directory, [](const std::string&) {}));

  store_bed bed{how};
  CHECK(bed.payloads("c") == std::vector<std::string>{"1"});
  auto none = bed.writer->ledger()->copied(named("c"));
  REQUIRE(none);
  CHECK_FALSE(*none);
  REQUIRE(bed.writer->ledger()->pass(named("c"), {std::nullopt, {7, {5, 1}}}));
  REQUIRE(bed.writer->ledger()->mirrored(
      std::vector<store::mirror_move>{{named("c"), bed.state("c").epoch, {1}}}));
  REQUIRE(bed.close());
  auto summary = store::check(how.directory, [](const std::string& line) { FAIL_CHECK(line); });
  REQUIRE(summary);
  CHECK(summary->entries == 1);
}
