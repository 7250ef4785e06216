// The SQLite log as files: what survives a crash, what is refused, what damage is found.
#include "store/sqlite_schema.hpp"
#include "store/store_bed.hpp"

#include <sqlite3.h>

#include <csignal>
#include <fstream>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace confab;
using namespace confab::test;
using model::code;
namespace fs = std::filesystem;

namespace {

using payloads = std::vector<std::string>;
using syncing = store::options::sync;

store::options in(const fs::path& directory, syncing synchronous = syncing::full) {
  store::options x;
  x.directory = directory;
  x.synchronous = synchronous;
  return x;
}

/// Changes the file behind the store's back.
void by_hand(const fs::path& directory, const std::string& sql) {
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open((directory / "confab.db").c_str(), &db) == SQLITE_OK);
  char* why = nullptr;
  auto code = sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &why);
  REQUIRE_MESSAGE(code == SQLITE_OK, (why == nullptr ? "" : why));
  sqlite3_close(db);
}

std::string refusal(const store::options& how) {
  auto opened = store::open(how);
  REQUIRE_FALSE(opened);
  CHECK(opened.why().what == code::store_failed);
  return opened.why().detail;
}

struct checked {
  store::check_summary summary;
  payloads lines;
  [[nodiscard]] bool names(const std::string& text) const {
    for (const auto& line : lines)
      if (line.find(text) != std::string::npos)
        return true;
    return false;
  }
};

checked check_of(const fs::path& directory) {
  checked x;
  auto done = store::check(directory, [&](const std::string& line) { x.lines.push_back(line); });
  REQUIRE_MESSAGE(done, done.why().detail);
  x.summary = *done;
  CHECK(x.summary.defects == x.lines.size());
  return x;
}

/// Publishes 1 to 5 to `c` and closes.
void five(const fs::path& directory) {
  store_bed bed{in(directory)};
  for (int i = 1; i <= 5; ++i)
    bed.publish("c", {batch{{std::to_string(i)}, "p", static_cast<std::uint64_t>(i)}});
  store::cursor_move move{{"u", "d", named("c")}, bed.state("c").epoch, {4}};
  REQUIRE(bed.writer->move_cursors({&move, 1}, noon_ms));
  REQUIRE(bed.close());
}

/// Runs `work` in a process of its own. @returns its pid; it ends with what `work` returns.
template <class Work>
pid_t in_child(Work work) {
  auto child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0)
    ::_exit(work());
  return child;
}

int outcome_of(pid_t child) {
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

} // namespace

TEST_CASE("a log that was closed is the same when it is opened again, in a directory of its own") {
  scratch_directory scratch;
  five(scratch / "deep/er/log");
  struct stat got {};
  REQUIRE(::stat((scratch / "deep/er/log").c_str(), &got) == 0);
  CHECK((got.st_mode & 0777) == 0700);
  CHECK_FALSE(fs::exists(scratch / "deep/er/log/confab.db-wal"));

  store_bed bed{in(scratch / "deep/er/log")};
  CHECK(bed.payloads("c") == payloads{"1", "2", "3", "4", "5"});
  CHECK(bed.state("c").epoch.text.ends_with(".1"));
  CHECK((*bed.writer->producer(named("c"), "p", noon_ms))->number == 5);
  CHECK((*bed.reader->cursor({"u", "d", named("c")}, noon_ms))->at == model::seq{4});
  CHECK(bed.publish("c", "6").state.tail == model::seq{6});
  CHECK(bed.store->description().find("generation 1") != std::string::npos);
}

TEST_CASE("what was committed survives kill -9 of the process, and the check finds it whole") {
  scratch_directory scratch;
  int pipe[2];
  REQUIRE(::pipe(pipe) == 0);
  auto child = in_child([&] {
    store_bed bed{in(scratch / "log", syncing::off)};
    for (char i = 0; i < 100; ++i) {
      if (bed.publish("c", std::to_string(i)).failure || ::write(pipe[1], &i, 1) != 1)
        return 1;
    }
    ::pause();
    return 0;
  });
  char last = 0;
  while (last < 99)
    REQUIRE(::read(pipe[0], &last, 1) == 1);

  auto refused = refusal(in(scratch / "log"));
  CHECK(refused.find("process " + std::to_string(child)) != std::string::npos);
  auto busy = store::check(scratch / "log", [](const std::string&) {});
  REQUIRE_FALSE(busy);
  CHECK(busy.why().detail.find("process " + std::to_string(child)) != std::string::npos);

  REQUIRE(::kill(child, SIGKILL) == 0);
  CHECK(outcome_of(child) == -1);
  ::close(pipe[0]);
  ::close(pipe[1]);
  auto wal = fs::file_size(scratch / "log/confab.db-wal");
  CHECK(wal > 0);
  CHECK(check_of(scratch / "log").summary.entries == 100);
  CHECK(fs::file_size(scratch / "log/confab.db-wal") == wal);
  store_bed bed{in(scratch / "log")};
  CHECK(bed.page("c").entries.size() == 100);
  // The machine did not stop, so nothing can be lost.
  CHECK(bed.state("c").epoch.text.ends_with(".1"));
}

TEST_CASE("a copy of the files of an open log is a whole log") {
  scratch_directory scratch;
  store_bed bed{in(scratch / "log")};
  bed.publish("c", "1");
  fs::copy(scratch / "log", scratch / "copy");
  CHECK(check_of(scratch / "copy").summary.entries == 1);
  store_bed copy{in(scratch / "copy")};
  CHECK(copy.payloads("c") == payloads{"1"});
  CHECK(copy.state("c") == bed.state("c"));
}

TEST_CASE("the generation rises when commits may be lost: unclean, another boot, not every commit "
          "synced") {
  struct {
    syncing before;
    bool clean;
    const char* next_boot;
    const char* generation;
  } cases[]{
      {syncing::full, false, "boot-2", ".1"},  {syncing::normal, false, "boot-2", ".2"},
      {syncing::off, false, "boot-2", ".2"},   {syncing::off, false, "boot-1", ".1"},
      {syncing::normal, true, "boot-2", ".1"}, {syncing::off, true, "boot-2", ".1"},
  };
  for (const auto& x : cases) {
    CAPTURE(static_cast<int>(x.before));
    CAPTURE(x.clean);
    CAPTURE(x.next_boot);
    scratch_directory scratch;
    store::cursor_key key{"u", "d", named("c")};
    model::log_state before;
    {
      store_bed bed{in(scratch / "log", x.before), {"boot-1"}};
      bed.publish("c", "1");
      before = bed.state("c");
      store::cursor_move move{key, before.epoch, {1}};
      REQUIRE(bed.writer->move_cursors({&move, 1}, noon_ms));
      if (x.clean)
        REQUIRE(bed.close());
    }
    store_bed bed{in(scratch / "log"), {x.next_boot}};
    auto after = bed.state("c");
    CHECK(after.epoch.text.ends_with(x.generation));
    CHECK((after.epoch == before.epoch) == (std::string{x.generation} == ".1"));
    // A cursor belongs to the epoch in which it was set.
    CHECK((*bed.reader->cursor(key, noon_ms))->epoch == before.epoch);
    auto stale = bed.commit({chain_behind("c", before, {batch{{"2"}}})}).front();
    CHECK(stale.failure.has_value() == (after.epoch != before.epoch));
  }
}

TEST_CASE("a second opening is refused, also in the same process, and names the holder") {
  scratch_directory scratch;
  {
    store_bed bed{in(scratch / "log")};
    CHECK(refusal(in(scratch / "log")).find("process " + std::to_string(::getpid())) !=
          std::string::npos);
    auto child = in_child([&] {
      auto opened = store::open(in(scratch / "log"));
      return opened                                                                       ? 1
             : opened.why().detail.find(std::to_string(::getppid())) == std::string::npos ? 2
                                                                                          : 0;
    });
    CHECK(outcome_of(child) == 0);
  }
  CHECK(store::open(in(scratch / "log")));
}

TEST_CASE("a newer schema, a foreign database and a changed table are refused with what to do") {
  scratch_directory scratch;
  five(scratch / "log");
  by_hand(scratch / "log", "UPDATE store SET value = 99 WHERE key = 'schema'");
  CHECK(refusal(in(scratch / "log")).find("run the newer confab") != std::string::npos);
  CHECK_FALSE(store::check(scratch / "log", [](const std::string&) {}));
  by_hand(scratch / "log", "UPDATE store SET value = " + std::to_string(store::schema_version) +
                               " WHERE key = 'schema'; DROP INDEX entries_by_source_id");
  CHECK(refusal(in(scratch / "log")).find("entries_by_source_id") != std::string::npos);

  fs::create_directory(scratch / "foreign");
  by_hand(scratch / "foreign", "CREATE TABLE store(x)");
  CHECK(refusal(in(scratch / "foreign")).find("not of Confab") != std::string::npos);
  fs::create_directory(scratch / "other");
  by_hand(scratch / "other", "CREATE TABLE t(x)");
  CHECK(refusal(in(scratch / "other")).find("not of Confab") != std::string::npos);

  fs::create_directory(scratch / "garbage");
  std::ofstream{scratch / "garbage/confab.db"} << std::string(5000, 'x');
  CHECK(refusal(in(scratch / "garbage")).find("damaged") != std::string::npos);
  CHECK(store::check(scratch / "none", [](const std::string&) {}).why().what == code::store_failed);
  CHECK_FALSE(fs::exists(scratch / "none"));
}

TEST_CASE("a directory that cannot be written is refused") {
  scratch_directory scratch;
  std::ofstream{scratch / "file"} << "x";
  CHECK(refusal(in(scratch / "file/log")).find("cannot be created") != std::string::npos);
}

TEST_CASE("a damaged row is an error that names it, never an entry, and the check finds it") {
  const std::string damages[]{
      "UPDATE entries SET payload = CAST('X' AS BLOB) WHERE seq = 3",
      "UPDATE entries SET sender = 'mallory' WHERE seq = 3",
      "UPDATE entries SET sender = 'alic', kind = 'emessage' WHERE seq = 3",
      "UPDATE entries SET time_ms = time_ms + 1 WHERE seq = 3",
      "UPDATE entries SET ms = ms + 1 WHERE seq = 3",
      "UPDATE entries SET producer_seq = 4 WHERE seq = 3",
      "UPDATE entries SET crc = crc + 1 WHERE seq = 3",
      "UPDATE entries SET crc = -1 WHERE seq = 3",
      "UPDATE entries SET bytes_through = bytes_through + 1 WHERE seq = 3",
      "DELETE FROM entries WHERE seq = 3",
      "UPDATE entries SET seq = 9 WHERE seq = 5; UPDATE entries SET seq = 5 WHERE seq = 3;"
      "UPDATE entries SET seq = 3 WHERE seq = 9",
      "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, ' STRICT,', '');"
      "PRAGMA writable_schema = RESET; UPDATE entries SET payload = 7 WHERE seq = 3;"
      "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, ') WITHOUT', ') "
      "STRICT, WITHOUT')"
      " WHERE type = 'table'",
  };
  for (const auto& damage : damages) {
    CAPTURE(damage);
    scratch_directory scratch;
    five(scratch / "log");
    by_hand(scratch / "log", damage);
    {
      store_bed bed{in(scratch / "log")};
      auto page = bed.reader->page(named("c"), {1}, {5});
      REQUIRE_FALSE(page);
      CHECK(page.why().what == code::log_damaged);
      CHECK(page.why().detail.find("conversation c, seq 3") != std::string::npos);
      CHECK_FALSE(bed.reader->locate(named("c"), {3}));
      CHECK(bed.page("c", 1, 2).entries.size() == 2);
    }
    auto found = check_of(scratch / "log");
    CHECK(found.summary.defects >= 1);
    CHECK(found.names("conversation c, seq 3"));
  }
}

TEST_CASE("a damaged conversation fails alone, however many of them a batch has") {
  scratch_directory scratch;
  std::vector<std::string> names;
  {
    store_bed bed{in(scratch / "log")};
    for (int i = 0; i < 20; ++i) {
      names.push_back("c:" + std::to_string(i));
      bed.publish(names.back(), "1");
    }
  }
  by_hand(scratch / "log", "UPDATE conversations SET epoch = upper(epoch) WHERE id <= 10");
  store_bed bed{in(scratch / "log")};
  std::vector<store::chain> chains;
  for (const auto& name : names) {
    auto log = bed.writer->open(named(name));
    CHECK(static_cast<bool>(log) == (chains.size() >= 10));
    chains.push_back(chain_behind(name, log ? log->state : model::log_state{}, {batch{{"2"}}}));
  }
  auto outcomes = bed.commit(chains);
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    CAPTURE(i);
    CHECK(outcomes[i].committed == (i < 10 ? 0 : 1));
    if (i < 10)
      CHECK(outcomes[i].failure->what == code::log_damaged);
  }
}

TEST_CASE("the check finds what no single row can show") {
  struct {
    const char* damage;
    const char* line;
  } cases[]{
      {"INSERT INTO entries SELECT 77, seq, ms, n, bytes_through, crc, time_ms, producer_seq, "
       "sender, kind,"
       " producer, message, source_id, payload FROM entries",
       "table entries: rows of conversation row 77"},
      {"DELETE FROM entries WHERE seq > 3", "beyond the log's last, 3"},
      {"UPDATE conversations SET first = 3", "is below the log's first"},
      {"UPDATE conversations SET base_bytes = 5", "the running total is not the sum"},
      {"UPDATE producers SET number = 77", "is of another producer, number or id"},
      {"UPDATE cursors SET ms = 5", "a cursor at seq 4: the entry there has another id"},
      {"UPDATE conversations SET name = 'a b'", "conversation name"},
      {"INSERT INTO producers VALUES(9, 'p', 1, 1, 1, 1, 1, 1, 1)", "table producers: rows of"},
  };
  for (const auto& x : cases) {
    CAPTURE(x.damage);
    scratch_directory scratch;
    five(scratch / "log");
    CHECK(check_of(scratch / "log").summary.defects == 0);
    by_hand(scratch / "log", x.damage);
    auto found = check_of(scratch / "log");
    for (const auto& line : found.lines)
      INFO(line);
    CHECK(found.names(x.line));
  }
}

TEST_CASE("flipping any byte of the file never shows an entry that was not written") {
  scratch_directory scratch;
  five(scratch / "log");
  auto size = fs::file_size(scratch / "log/confab.db");
  std::uint64_t errors = 0;
  // Every 37th byte: a prime, so that all parts of all pages are met.
  for (std::uint64_t at = 100; at < size; at += 37) {
    CAPTURE(at);
    fs::remove_all(scratch / "flipped");
    fs::create_directory(scratch / "flipped");
    fs::copy_file(scratch / "log/confab.db", scratch / "flipped/confab.db");
    {
      std::fstream file{scratch / "flipped/confab.db",
                        std::ios::in | std::ios::out | std::ios::binary};
      file.seekg(static_cast<std::streamoff>(at));
      auto byte = static_cast<char>(file.get() ^ 0x41);
      file.seekp(static_cast<std::streamoff>(at));
      file.put(byte);
    }
    auto opened = store::open(in(scratch / "flipped", syncing::off));
    if (!opened) {
      ++errors;
      continue;
    }
    auto reader = (*opened)->reader();
    if (!reader) {
      ++errors;
      continue;
    }
    auto page = (*reader)->page(named("c"), {1}, {5});
    if (!page) {
      ++errors;
      continue;
    }
    for (const auto& x : page->entries) {
      CHECK(x.payload == std::to_string(x.at.value));
      CHECK(x.sender == "alice");
    }
  }
  CHECK(errors > 0);
}
