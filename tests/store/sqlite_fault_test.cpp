// What a disk that fails may cost: never an entry that was refused, never a receipt that was given.
#include "store/store_bed.hpp"
#include "support/fault_vfs.hpp"

#include <atomic>
#include <chrono>
#include <fstream>
#include <thread>

using namespace confab;
using namespace confab::test;
using model::code;
namespace fs = std::filesystem;

namespace {

struct failing_bed {
  explicit failing_bed(store::sqlite_probes probes = {}) : bed{how(), probes} {}

  store::options how(const char* name = "log") const {
    store::options x;
    x.directory = scratch / name;
    x.vfs = fault_vfs();
    return x;
  }
  /// What a kill -9 at this moment would leave: the files as they are, opened by the next process.
  std::vector<std::string> payloads_after_kill(const char* name) const {
    fs::remove_all(scratch / "copy");
    fs::copy(scratch / "log", scratch / "copy");
    auto options = how("copy");
    options.vfs.clear();
    store_bed next{options};
    return next.payloads(name);
  }

  fault_scope faults;
  scratch_directory scratch;
  store_bed bed;
};

using payloads = std::vector<std::string>;

} // namespace

TEST_CASE("an append whose fsync failed does not come back after a crash") {
  failing_bed x;
  CHECK(x.bed.publish("c", "1").committed == 1);
  set_fault(fault::fsync, 1);
  auto outcome = x.bed.publish("c", "2");
  CHECK(outcome.committed == 0);
  REQUIRE(outcome.failure);
  CHECK(outcome.failure->what == code::store_failed);
  CHECK(outcome.failure->detail.find("I/O error") != std::string::npos);
  CHECK(outcome.state.tail == model::seq{1});
  CHECK(x.bed.writer->health().fences == 1);
  CHECK(x.payloads_after_kill("c") == payloads{"1"});

  CHECK(x.bed.publish("c", "3").state.tail == model::seq{2});
  CHECK(x.payloads_after_kill("c") == payloads{"1", "3"});
}

TEST_CASE("without the fence it would come back") {
  store::sqlite_probes probes;
  probes.fence = false;
  failing_bed x{probes};
  CHECK(x.bed.publish("c", "1").committed == 1);
  set_fault(fault::fsync, 1);
  CHECK(x.bed.publish("c", "2").failure->what == code::store_failed);
  CHECK(x.payloads_after_kill("c") == payloads{"1", "2"});
}

TEST_CASE("while the fence fails too the outcome is unknown, nothing is appended, and it heals by "
          "itself") {
  failing_bed x;
  x.bed.publish("c", "1");
  set_fault(fault::fsync);
  auto outcome = x.bed.publish("c", "2");
  CHECK(outcome.failure->what == code::append_unknown);
  CHECK(outcome.committed == 0);
  CHECK(x.bed.writer->health().trouble.find("I/O error") != std::string::npos);

  auto syncs = syncs_asked();
  outcome = x.bed.publish("c", "2");
  CHECK(outcome.failure->what == code::store_failed);
  CHECK(outcome.state.tail == model::seq{1});
  // One try of the fence, and nothing behind it.
  CHECK(syncs_asked() == syncs + 1);
  CHECK(x.bed.writer->close(named("c")).why().what == code::store_failed);
  CHECK(x.bed.payloads("c") == payloads{"1"});

  bool more = false;
  (void)x.bed.writer->retain(noon_ms, more);
  CHECK_FALSE(x.bed.writer->health().trouble.empty());
  set_fault(fault::none);
  (void)x.bed.writer->retain(noon_ms, more);
  CHECK(x.bed.writer->health().trouble.empty());
  CHECK(x.payloads_after_kill("c") == payloads{"1"});
  CHECK(x.bed.publish("c", "2").committed == 1);
  CHECK(x.payloads_after_kill("c") == payloads{"1", "2"});
}

TEST_CASE("a full disk fails a whole batch with two writes, not two per draft, and says so") {
  failing_bed x;
  for (const char* name : {"a", "b"})
    x.bed.publish(name, "1");
  set_fault(fault::full);
  auto syncs = syncs_asked();
  std::vector<store::chain> chains;
  for (const char* name : {"a", "b"})
    chains.push_back(chain_behind(name, x.bed.state(name), std::vector<batch>(50, batch{{"x"}})));
  for (const auto& outcome : x.bed.commit(chains)) {
    CHECK(outcome.committed == 0);
    CHECK(outcome.failure->what == code::append_unknown);
    CHECK(outcome.state.tail == model::seq{1});
  }
  CHECK(syncs_asked() - syncs <= 2);
  CHECK(x.bed.writer->health().trouble.starts_with("disk full"));
  set_fault(fault::none);
  CHECK(x.bed.publish("a", "2").committed == 1);
  CHECK(x.bed.writer->health().trouble.empty());
  CHECK(x.payloads_after_kill("a") == payloads{"1", "2"});
  CHECK(x.payloads_after_kill("b") == payloads{"1"});
}

TEST_CASE("closing, removing and cursors fail honestly too") {
  failing_bed x;
  x.bed.publish("c", "1");
  set_fault(fault::fsync, 1);
  CHECK(x.bed.writer->close(named("c")).why().what == code::store_failed);
  CHECK(x.bed.state("c").life == model::lifecycle::open);
  set_fault(fault::fsync, 1);
  CHECK(x.bed.writer->remove(named("c")).why().what == code::store_failed);
  CHECK(x.payloads_after_kill("c") == payloads{"1"});
  store::cursor_move move{{"u", "d", named("c")}, x.bed.state("c").epoch, {1}};
  set_fault(fault::fsync, 2);
  CHECK(x.bed.writer->move_cursors({&move, 1}, noon_ms).why().what == code::append_unknown);
  CHECK_FALSE(*x.bed.reader->cursor(move.key, noon_ms));
  CHECK(x.bed.writer->move_cursors({&move, 1}, noon_ms));
  CHECK(x.bed.writer->close(named("c")));
}

TEST_CASE("a store that cannot be fenced is not closed cleanly") {
  failing_bed x;
  set_fault(fault::fsync);
  CHECK(x.bed.publish("c", "1").failure->what == code::append_unknown);
  CHECK_FALSE(x.bed.close());
}

TEST_CASE("readers go on while a commit hangs in fsync, and do not see what it has not committed") {
  failing_bed x;
  x.bed.publish("c", "1");
  auto chain = chain_behind("c", x.bed.state("c"), {batch{{"2"}}});
  set_fault(fault::hang);
  std::atomic<bool> done = false;
  std::thread writing{[&] {
    (void)x.bed.commit({chain});
    done = true;
  }};
  while (hanging_syncs() == 0)
    std::this_thread::yield();
  CHECK(x.bed.payloads("c") == payloads{"1"});
  CHECK_FALSE(done);
  set_fault(fault::none);
  writing.join();
  CHECK(x.bed.payloads("c") == payloads{"1", "2"});
}

TEST_CASE("a control file commands the faults of a process that cannot be called") {
  failing_bed x;
  set_fault_file(x.scratch / "fault");
  x.bed.publish("c", "1");
  std::ofstream{x.scratch / "fault"} << "full\n";
  CHECK(x.bed.publish("c", "2").failure->detail.find("disk full") != std::string::npos);
  std::ofstream{x.scratch / "fault"} << "fsync\n";
  CHECK(x.bed.publish("c", "2").failure->what == code::store_failed);
  std::ofstream{x.scratch / "fault"} << "ok\n";
  CHECK(x.bed.publish("c", "2").committed == 1);
  set_fault_file({});
}

TEST_CASE("one bad draft in a batch fails alone: what is before it in its chain and all other "
          "chains commit") {
  store::sqlite_probes probes;
  probes.length_max = 100'000;
  failing_bed x{probes};
  auto good = chain_behind("good", {}, {batch{{"1"}, "p", 1}, batch{{"2"}, "p", 2}});
  auto large = chain_behind("large", {},
                            {batch{{"1"}, "q", 1}, batch{{"2", std::string(200'000, 'x')}, "q", 2},
                             batch{{"4"}, "q", 3}});
  auto negative = chain_behind("negative", {}, {batch{{"1"}}});
  auto broken = std::make_shared<store::append>(*negative.appends[0]);
  broken->entries[0].id.ms = std::uint64_t{1} << 63;
  negative.appends[0] = broken;
  auto syncs = syncs_asked();
  auto outcomes = x.bed.commit({good, large, negative});
  CHECK(syncs_asked() - syncs == 1);

  CHECK(outcomes[0].committed == 2);
  CHECK_FALSE(outcomes[0].failure);
  CHECK(outcomes[1].committed == 1);
  CHECK(outcomes[1].failure->what == code::store_failed);
  CHECK(outcomes[1].failure->detail.find("too big") != std::string::npos);
  CHECK(outcomes[1].state.tail == model::seq{1});
  CHECK(outcomes[2].committed == 0);
  CHECK(outcomes[2].failure->detail.find("CHECK") != std::string::npos);
  CHECK(outcomes[2].state == model::log_state{});
  CHECK(x.bed.writer->health().trouble.empty());
  CHECK(x.bed.state("negative").epoch.empty());
  CHECK(x.payloads_after_kill("good") == payloads{"1", "2"});
  CHECK(x.payloads_after_kill("large") == payloads{"1"});
  CHECK((*x.bed.writer->producer(named("good"), "p", noon_ms))->number == 2);
  CHECK((*x.bed.writer->producer(named("large"), "q", noon_ms))->number == 1);
  CHECK(x.bed.publish("large", "2").state.tail == model::seq{2});
}

TEST_CASE("a commit under full adds to the log in one write, under normal with two for each page") {
  fault_scope faults;
  scratch_directory scratch;
  auto writes_of_one = [&](store::options::sync how, const char* name) {
    store::options options;
    options.directory = scratch / name;
    options.vfs = fault_vfs();
    options.synchronous = how;
    store_bed bed{options};
    // The first one also writes the log's header.
    bed.publish("c", "1");
    auto before = writes_asked();
    bed.publish("c", std::vector<batch>(20, batch{{std::string(1000, 'x')}}));
    auto asked = writes_asked() - before;
    CHECK(bed.payloads("c").size() == 21);
    return asked;
  };
  CHECK(writes_of_one(store::options::sync::full, "full") == 1);
  CHECK(writes_of_one(store::options::sync::normal, "normal") > 10);
}

TEST_CASE("a commit longer than what is gathered at once is there after a crash") {
  failing_bed x;
  x.bed.publish("c", "1");
  auto large = std::string(60'000, 'x');
  CHECK(x.bed.publish("c", {batch{{large, large}}, batch{{large}}}).committed == 2);
  CHECK(x.payloads_after_kill("c") == payloads{"1", large, large, large});
}
