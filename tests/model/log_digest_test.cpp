#include "model/log_digest.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace confab::model;

namespace {

const auto here = conversation_check("room/1");
using comparison = log_digest::comparison;

stamp entry_at(std::uint64_t seq) {
  return {static_cast<std::uint32_t>(seq % 3), (seq + 2) / 3, 0, here};
}

log_digest log_of(std::uint64_t first, std::uint64_t last) {
  log_digest log{here};
  for (auto seq = first; seq <= last; ++seq)
    CHECK(log.add(seq, entry_at(seq)));
  return log;
}

reception reader_of(std::uint64_t after, std::uint64_t last) {
  reception x{here};
  x.begin_after(after);
  for (auto seq = after + 1; seq <= last; ++seq)
    x.take(seq, entry_at(seq));
  return x;
}

} // namespace

TEST_CASE("a reader of any range of the log has the log's digest of it") {
  auto log = log_of(1, 300);
  std::mt19937_64 random{1};
  for (int i = 0; i < 300; ++i) {
    auto after = random() % 300;
    auto last = after + random() % (301 - after);
    CHECK(log.compare(reader_of(after, last)) == comparison::same);
  }
}

TEST_CASE("a reader that got one entry more, less or of another number differs") {
  auto log = log_of(1, 100);
  auto longer = reader_of(10, 101);
  CHECK(log.compare(longer) != comparison::same);
  auto other = reader_of(10, 49);
  other.take(50, stamp{2, 1, 0, here});
  CHECK(log.compare(other) == comparison::different);
  auto lost = reader_of(10, 49);
  lost.take(51, entry_at(51));
  CHECK(log.compare(lost) == comparison::different);
}

TEST_CASE("late and repeated entries do not change what was received") {
  auto log = log_of(1, 100);
  auto x = reader_of(10, 49);
  for (std::uint64_t seq : {51, 50, 49, 52})
    x.take(seq, entry_at(seq));
  CHECK(x.counts().reordered == 1);
  CHECK(x.counts().repeated == 1);
  CHECK(log.compare(x) == comparison::same);
}

TEST_CASE("announced ranges are left out of the comparison, trimmed ones too") {
  auto log = log_of(40, 100);
  auto x = reader_of(10, 20);
  x.announced(21, 60);
  for (std::uint64_t seq = 61; seq <= 90; ++seq)
    x.take(seq, entry_at(seq));
  CHECK(log.compare(x) == comparison::not_comparable); // 11 … 20 are not in the log any more
  reception later{here};
  later.begin_after(10);
  later.announced(11, 39);
  for (std::uint64_t seq = 40; seq <= 100; ++seq)
    later.take(seq, entry_at(seq));
  CHECK(log.compare(later) == comparison::same);
  later.take(101, entry_at(101));
  CHECK(log.compare(later) == comparison::not_comparable);
}

TEST_CASE("foreign entries of the log are the same on both sides") {
  log_digest log{here};
  reception x{here};
  x.begin_after(0);
  for (std::uint64_t seq = 1; seq <= 10; ++seq) {
    auto entry = seq == 5 ? std::nullopt : std::optional{entry_at(seq)};
    log.add(seq, entry);
    x.take(seq, entry);
  }
  CHECK(log.compare(x) == comparison::same);
  CHECK(log.order().counts().foreign == 1);
}

TEST_CASE("a receipt holds only with its entry at its seq") {
  auto log = log_of(5, 50);
  for (std::uint64_t seq = 5; seq <= 50; ++seq)
    CHECK(log.holds(seq, entry_at(seq)));
  CHECK_FALSE(log.holds(4, entry_at(4)));
  CHECK_FALSE(log.holds(51, entry_at(51)));
  CHECK_FALSE(log.holds(20, entry_at(21)));
}

TEST_CASE(
    "a publish that is in the log twice, and a hole in its pages, are the log's own offences") {
  log_digest twice{here};
  twice.add(1, stamp{1, 1, 0, here});
  twice.add(2, stamp{1, 1, 0, here});
  CHECK(twice.order().counts().repeated == 1);
  CHECK(twice.holds(2, stamp{1, 1, 0, here}));
  log_digest hole{here};
  hole.add(1, stamp{1, 1, 0, here});
  hole.add(3, stamp{1, 3, 0, here});
  CHECK(hole.order().counts().missing == 1);
  CHECK_FALSE(hole.holds(2, stamp{1, 2, 0, here}));
  CHECK(hole.holds(3, stamp{1, 3, 0, here}));
}

TEST_CASE("entries beyond the bound are not kept, and readers of them not compared") {
  log_digest log{here, 10};
  for (std::uint64_t seq = 1; seq <= 12; ++seq)
    CHECK(log.add(seq, entry_at(seq)) == (seq <= 10));
  CHECK_FALSE(log.add(std::uint64_t{1} << 53, entry_at(1)));
  CHECK(log.compare(reader_of(3, 10)) == comparison::same);
  CHECK(log.compare(reader_of(3, 11)) == comparison::not_comparable);
}
