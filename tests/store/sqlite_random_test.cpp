// The SQLite log against the one in memory, by random operations; and one writer beside reading
// threads.
#include "store/store_bed.hpp"

#include <atomic>
#include <random>
#include <thread>

using namespace confab;
using namespace confab::test;

namespace {

/// Drives two stores alike. Their epochs differ, as random parts do: they are compared by whether
/// there is one.
class twins {
public:
  explicit twins(unsigned seed) : random_{seed} { open(); }

  void step() {
    now_ms_ += below(3) * below(2000);
    auto name = names[below(std::size(names))];
    switch (below(20)) {
    default:
      return publish();
    case 0:
      return same(disk_->writer->close(named(name)), memory_->writer->close(named(name)));
    case 1:
      return same(disk_->writer->remove(named(name)), memory_->writer->remove(named(name)));
    case 2:
      disk_->retain_all(now_ms_);
      memory_->retain_all(now_ms_);
      return compare(name);
    case 3:
    case 4:
      return cursor(name);
    case 5:
    case 6:
      return look_back(name);
    case 7:
    case 8:
      return locate(name);
    case 9:
      // Every so often the process dies.
      if (below(8) == 0)
        reopen(below(2) == 0);
      return compare(name);
    }
  }

  void finish() {
    for (const char* name : names)
      compare(name);
    reopen(true);
    auto found = store::check(scratch_ / "log", [](const std::string& line) { FAIL_CHECK(line); });
    CHECK_FALSE(found);
    disk_.reset();
    found = store::check(scratch_ / "log", [](const std::string& line) { FAIL_CHECK(line); });
    CHECK(found);
  }

private:
  static constexpr const char* names[]{"a", "b", "room:1", "room:2", "log/x"};

  std::uint64_t below(std::uint64_t n) { return random_() % n; }

  static store::options how(const std::filesystem::path& directory) {
    store::options x;
    x.directory = directory;
    x.synchronous = store::options::sync::off;
    x.producer_ttl_s = 600;
    x.cursor_ttl_s = 400;
    x.retention = *model::parse_retention("room:* 300s - -, log/* - 7 2KiB");
    return x;
  }
  void open() {
    disk_ = std::make_unique<store_bed>(how(scratch_ / "log"));
    if (!memory_)
      memory_ = std::make_unique<store_bed>(how(":memory:"));
  }
  void reopen(bool cleanly) {
    if (cleanly)
      REQUIRE(disk_->close());
    disk_.reset();
    open();
  }

  static void same(const model::log_state& x, const model::log_state& y) {
    CHECK(x.epoch.empty() == y.epoch.empty());
    CHECK(x.first == y.first);
    CHECK(x.tail == y.tail);
    CHECK(x.tail_id == y.tail_id);
    CHECK(x.life == y.life);
  }
  static void same(const std::optional<model::position>& x,
                   const std::optional<model::position>& y) {
    REQUIRE(x.has_value() == y.has_value());
    if (x)
      CHECK(std::pair{x->at, x->id} == std::pair{y->at, y->id});
  }
  static void same(const model::nothing&, const model::nothing&) {}
  template <class T>
  static void same(const model::result<T>& x, const model::result<T>& y) {
    REQUIRE(static_cast<bool>(x) == static_cast<bool>(y));
    if (x)
      same(*x, *y);
    else
      CHECK(x.why().what == y.why().what);
  }

  void publish() {
    std::vector<store::chain> on_disk;
    std::vector<store::chain> in_memory;
    for (const char* name : names) {
      if (below(2) == 0)
        continue;
      auto log = disk_->state(name);
      if (below(12) == 0)
        log.tail.value += below(3);
      if (below(25) == 0)
        log.epoch.text = below(2) == 0 ? "" : "zzzzzzzz.9";
      std::vector<batch> batches;
      for (auto n = below(4); n > 0; --n)
        batches.push_back(random_batch());
      auto chain = chain_behind(name, log, batches, now_ms_);
      if (below(25) == 0)
        chain.content_type = "text/plain";
      if (below(30) == 0 && !chain.appends.empty())
        chain.appends.erase(chain.appends.begin());
      on_disk.push_back(chain);
      if (log.epoch == disk_->state(name).epoch)
        chain.epoch = memory_->state(name).epoch;
      in_memory.push_back(chain);
    }
    auto x = disk_->commit(on_disk, now_ms_);
    auto y = memory_->commit(in_memory, now_ms_);
    REQUIRE(x.size() == y.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      CHECK(x[i].committed == y[i].committed);
      same(x[i].state, y[i].state);
      REQUIRE(x[i].failure.has_value() == y[i].failure.has_value());
      if (x[i].failure)
        CHECK(x[i].failure->what == y[i].failure->what);
    }
  }

  batch random_batch() {
    batch x;
    for (auto n = 1 + below(3); n > 0; --n)
      x.payloads.push_back(std::string(below(200), static_cast<char>('a' + below(26))));
    const char* producers[]{"", "p", "q", "~i:1", "=k1", "=k2"};
    x.producer = producers[below(std::size(producers))];
    if (!x.producer.empty())
      x.number = ++number_ / 2;
    x.producer_epoch = static_cast<std::uint32_t>(number_ / 50);
    x.fingerprint = below(~std::uint64_t{0});
    if (below(4) == 0)
      x.source_id = model::to_string(model::entry_id{below(50), below(2)});
    return x;
  }

  void compare(const char* name) {
    auto from = model::seq{below(40)};
    auto through = model::seq{from.value + below(60)};
    auto x = disk_->reader->page(named(name), from, through);
    auto y = memory_->reader->page(named(name), from, through);
    REQUIRE(x);
    same(x->state, y->state);
    CHECK(x->entries == y->entries);
    CHECK(x->full == y->full);
    auto a = disk_->writer->open(named(name));
    auto b = memory_->writer->open(named(name));
    REQUIRE(a);
    same(a->state, b->state);
    CHECK(a->settings == b->settings);
  }

  void cursor(const char* name) {
    store::cursor_key key{"u", below(2) == 0 ? "phone" : "laptop", named(name)};
    auto at = model::seq{below(disk_->state(name).tail.value + 3)};
    store::cursor_move x{key, disk_->state(name).epoch, at};
    store::cursor_move y{key, memory_->state(name).epoch, at};
    same(disk_->writer->move_cursors({&x, 1}, now_ms_),
         memory_->writer->move_cursors({&y, 1}, now_ms_));
    auto a = disk_->reader->cursor(key, now_ms_);
    auto b = memory_->reader->cursor(key, now_ms_);
    REQUIRE(a);
    same(*a, *b);
  }

  void look_back(const char* name) {
    for (const char* producer : {"p", "q", "=k1", "~i:1"}) {
      auto x = disk_->writer->producer(named(name), producer, now_ms_);
      auto y = memory_->writer->producer(named(name), producer, now_ms_);
      REQUIRE(x);
      REQUIRE(x->has_value() == y->has_value());
      if (!*x)
        continue;
      CHECK((*x)->epoch == (*y)->epoch);
      CHECK((*x)->number == (*y)->number);
      CHECK((*x)->last == (*y)->last);
      CHECK((*x)->fingerprint == (*y)->fingerprint);
      auto number = (*x)->number - std::min((*x)->number, below(10));
      auto a = disk_->writer->older_receipt(named(name), producer, number);
      auto b = memory_->writer->older_receipt(named(name), producer, number);
      REQUIRE(a);
      CHECK(*a == *b);
    }
  }

  void locate(const char* name) {
    auto at = model::seq{below(disk_->state(name).tail.value + 3)};
    auto x = disk_->reader->locate(named(name), at);
    auto y = memory_->reader->locate(named(name), at);
    REQUIRE(x);
    same(x->head.state, y->head.state);
    same(x->found, y->found);
    model::entry_id id{below(50), below(2)};
    if (below(2) == 0)
      id = {static_cast<std::uint64_t>(now_ms_) - below(100'000), below(3)};
    auto a = disk_->reader->locate_id(named(name), id);
    auto b = memory_->reader->locate_id(named(name), id);
    REQUIRE(a);
    same(a->found, b->found);
  }

  std::mt19937_64 random_;
  std::int64_t now_ms_ = noon_ms;
  std::uint64_t number_ = 0;
  scratch_directory scratch_;
  std::unique_ptr<store_bed> disk_;
  std::unique_ptr<store_bed> memory_;
};

} // namespace

TEST_CASE(
    "whatever is done, the log on disk answers as the one in memory, and is whole at the end") {
  for (unsigned seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    twins x{seed};
    for (int step = 0; step < 500; ++step) {
      CAPTURE(step);
      x.step();
    }
    x.finish();
  }
}

TEST_CASE(
    "readers in other threads see whole commits, in order, while the writer appends and trims") {
  scratch_directory scratch;
  store::options how;
  how.directory = scratch / "log";
  how.synchronous = store::options::sync::off;
  how.retention = *model::parse_retention("* - 3000 -");
  store_bed bed{how};
  bed.publish("c", {batch{{"0", "0", "0"}}});
  std::atomic<bool> done = false;
  std::atomic<std::uint64_t> pages = 0;
  std::atomic<int> defects = 0;
  auto read = [&] {
    auto reader = bed.store->reader();
    for (model::seq at{1}; reader && !done;) {
      auto page = (*reader)->page(named("c"), at, {at.value + 99});
      // Three entries are one append: a tail that is no multiple of three is half of one.
      if (!page || page->state.tail.value % 3 != 0) {
        ++defects;
        return;
      }
      auto expected = std::max(at, page->state.first);
      for (const auto& x : page->entries) {
        if (x.at != expected || x.payload != std::to_string((x.at.value - 1) / 3))
          ++defects;
        expected = expected.next();
      }
      at = page->entries.empty() ? model::seq{1} : expected;
      ++pages;
    }
  };
  std::thread first{read};
  std::thread second{read};
  for (int i = 1; i <= 2000 || pages < 100; ++i) {
    auto text = std::to_string(i);
    REQUIRE(bed.publish("c", {batch{{text, text, text}}}).committed == 1);
    bool more = false;
    if (i % 20 == 0)
      (void)bed.writer->retain(noon_ms, more);
  }
  done = true;
  first.join();
  second.join();
  CHECK(defects == 0);
  CHECK(bed.state("c").first.value > 1);
}

TEST_CASE("readers that overlap without end do not keep the write-ahead log growing") {
  scratch_directory scratch;
  store::options how;
  how.directory = scratch / "log";
  how.synchronous = store::options::sync::off;
  store_bed bed{how};
  const std::string payload(60'000, 'x');
  bed.publish("c", payload);
  std::atomic<bool> done = false;
  auto read = [&] {
    auto reader = bed.store->reader();
    while (reader && !done)
      (void)(*reader)->page(named("c"), {1}, {4});
  };
  std::thread first{read};
  std::thread second{read};
  std::uintmax_t wal_max = 0;
  for (int i = 0; i < 2500; ++i) {
    bed.publish("c", payload);
    wal_max = std::max(wal_max, std::filesystem::file_size(scratch / "log/confab.db-wal"));
  }
  done = true;
  first.join();
  second.join();
  MESSAGE("the write-ahead log had at most ", wal_max >> 20, " MiB of 150");
  CHECK(wal_max < 48u << 20);
  CHECK(bed.writer->health().checkpoint_failures == 0);
}

TEST_CASE("more conversations than heads are kept in memory are appended to all the same") {
  scratch_directory scratch;
  store::options how;
  how.directory = scratch / "log";
  how.synchronous = store::options::sync::off;
  store_bed bed{how};
  std::vector<model::log_state> states(5000);
  for (int round = 1; round <= 3; ++round) {
    std::vector<store::chain> chains;
    for (std::size_t i = 0; i < states.size(); ++i)
      chains.push_back(chain_behind("c:" + std::to_string(i), states[i], {batch{{"x"}}}));
    auto outcomes = bed.commit(chains);
    for (std::size_t i = 0; i < states.size(); ++i) {
      REQUIRE_FALSE(outcomes[i].failure);
      states[i] = outcomes[i].state;
      REQUIRE(states[i].tail.value == static_cast<std::uint64_t>(round));
    }
  }
}
