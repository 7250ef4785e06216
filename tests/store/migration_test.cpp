// Older logs become today's, with everything in them.
#include "store/sqlite_database.hpp"
#include "store/store_bed.hpp"

using namespace confab;
using namespace confab::test;

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
  std::string back = "UPDATE store SET value = 1 WHERE key = 'schema';"
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
