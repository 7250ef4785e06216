#include "model/reception.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>

using namespace confab::model;

namespace {

const auto here = conversation_check("room/1");
const auto elsewhere = conversation_check("room/2");

struct delivery {
  std::uint64_t seq = 0;
  stamp x;
};

/// What a faultless server delivers of `publishers` who take random turns.
std::vector<delivery> faultless(std::mt19937_64& random, std::uint32_t publishers,
                                std::uint64_t entries) {
  std::vector<std::uint64_t> numbers(publishers);
  std::vector<delivery> all;
  for (std::uint64_t seq = 1; seq <= entries; ++seq) {
    auto who = static_cast<std::uint32_t>(random() % publishers);
    all.push_back({seq, {who, ++numbers[who], static_cast<std::int64_t>(seq), here}});
  }
  return all;
}

void renumber(std::vector<delivery>& all) {
  std::uint64_t seq = 0;
  for (auto& x : all)
    x.seq = ++seq;
}

struct plan {
  std::uint32_t publishers = 1;
  bool seqs = true;
  bool compact = false;
  /// In the log itself, so that its seqs are dense; else on the way to the reader.
  bool in_log = false;
};

/// Plants defects far enough apart not to touch each other. @returns what must be counted.
reception_counts plant(std::mt19937_64& random, std::vector<delivery>& all, const plan& how) {
  constexpr std::size_t apart = 40;
  reception_counts want;
  for (auto at = all.size() - apart; at > apart; at -= apart) {
    auto x = all.begin() + static_cast<std::ptrdiff_t>(at);
    auto further = static_cast<std::ptrdiff_t>(1 + random() % 8);
    // Between publishers, without dense seqs, there is no order: the next one of the same
    // publisher.
    auto same = std::find_if(x + 1, all.end(),
                             [&](const delivery& y) { return y.x.publisher == x->x.publisher; });
    switch (random() % 5) {
    case 0:
      all.erase(x, x + further);
      want.missing += static_cast<std::uint64_t>(further);
      break;
    case 1: {
      auto copy = *x;
      all.insert(x + further, copy);
      ++want.repeated;
      break;
    }
    case 2:
      if (how.seqs && !how.in_log)
        std::rotate(x, x + 1, x + 1 + further);
      else if (same < x + apart / 2)
        std::rotate(x, x + 1, same + 1);
      else
        break;
      ++want.reordered;
      break;
    case 3: {
      // As an entry of its own: seqs go on behind it.
      auto stranger = *x;
      stranger.x.conversation = elsewhere;
      for (auto y = x; y != all.end(); ++y)
        ++y->seq;
      all.insert(x, stranger);
      ++want.foreign;
      break;
    }
    default:
      break;
    }
  }
  return want;
}

void deliver(reception& to, const delivery& x, const plan& how) {
  to.take(how.seqs ? x.seq : 0, how.compact ? compacted(x.x) : x.x);
}

void check_planted(std::uint64_t seed, const plan& how) {
  CAPTURE(seed);
  CAPTURE(how.publishers);
  CAPTURE(how.seqs);
  CAPTURE(how.compact);
  CAPTURE(how.in_log);
  std::mt19937_64 random{seed};
  auto all = faultless(random, how.publishers, 2000);
  auto want = plant(random, all, how);
  if (how.in_log)
    renumber(all);
  reception x{here};
  how.seqs ? x.begin_after(0) : x.begin_whole();
  for (const auto& one : all)
    deliver(x, one, how);
  want.entries = all.size();
  auto got = x.counts();
  CHECK(got.missing == want.missing);
  CHECK(got.repeated == want.repeated);
  CHECK(got.reordered == want.reordered);
  CHECK(got.foreign == want.foreign);
  CHECK(got == want);
  CHECK((x.first_offence() == nullptr) == want.clean());
}

} // namespace

TEST_CASE("every planted defect is counted once, as what it is, with seqs and without, in the log "
          "and on the way") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed)
    for (std::uint32_t publishers : {1U, 3U})
      for (bool seqs : {true, false})
        for (bool compact : {false, true})
          for (bool in_log : {false, true})
            check_planted(seed, {publishers, seqs, compact, in_log && seqs});
}

TEST_CASE("a faultless server is clean, whatever it has") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    auto all = faultless(random, 4, 500);
    for (bool seqs : {true, false}) {
      reception x{here};
      seqs ? x.begin_after(0) : x.begin_whole();
      for (const auto& one : all)
        deliver(x, one, {.seqs = seqs});
      x.ended_at(seqs ? 500 : 0);
      for (std::uint32_t who = 0; who < 4; ++who)
        x.ended_at(who, x.last_number(who));
      CHECK(x.counts() == reception_counts{.entries = 500});
      CHECK(x.first_offence() == nullptr);
    }
  }
}

TEST_CASE("the first offence is kept, with what should have come") {
  reception x{here};
  x.begin_after(7);
  x.take(8, stamp{1, 20, 0, here});
  x.take(10, stamp{1, 22, 0, here});
  x.take(10, stamp{1, 22, 0, here});
  REQUIRE(x.first_offence());
  CHECK(*x.first_offence() == offence{offence_kind::missing, 10, 1, 22, 9, false});
  CHECK(x.counts() == reception_counts{.entries = 3, .missing = 1, .repeated = 1});
}

TEST_CASE("a payload that is no stamp is foreign, and its seq counts") {
  reception x{here};
  x.begin_after(0);
  x.take(1, stamp{1, 1, 0, here});
  x.take(2, {});
  x.take(3, stamp{1, 2, 0, here});
  CHECK(x.counts() == reception_counts{.entries = 3, .foreign = 1});
}

TEST_CASE(
    "an entry that the server repeats after a resume is counted, also behind the resume's place") {
  reception x{here};
  x.begin_after(0);
  for (std::uint64_t n = 1; n <= 5; ++n)
    x.take(n, stamp{1, n, 0, here});
  x.resumed_at(5);
  x.take(5, stamp{1, 5, 0, here});
  x.take(6, stamp{1, 6, 0, here});
  CHECK(x.counts() == reception_counts{.entries = 7, .repeated = 1});
  CHECK(x.first_offence()->kind == offence_kind::repeated);
  CHECK(x.first_offence()->seq == 5);
}

TEST_CASE("what a resume skips is missing even if nothing follows") {
  reception x{here};
  x.begin_after(0);
  x.take(1, stamp{1, 1, 0, here});
  x.resumed_at(4);
  CHECK(x.counts().missing == 3);
  x.take(5, stamp{1, 5, 0, here});
  CHECK(x.counts().missing == 3);
}

TEST_CASE("what a reset announces is counted apart, and what it passes over besides is missing") {
  reception x{here};
  x.begin_after(2);
  x.announced(3, 19);
  x.take(20, stamp{1, 20, 0, here});
  CHECK(x.counts() == reception_counts{.entries = 1, .announced = 17});
  x.announced(22, 30);
  x.take(31, stamp{1, 31, 0, here});
  CHECK(x.counts() == reception_counts{.entries = 2, .missing = 1, .announced = 26});
  x.announced(5, 31); // nothing new
  CHECK(x.counts().announced == 26);
}

TEST_CASE("a gap without known ends is announced, the next one is not") {
  for (bool seqs : {true, false}) {
    CAPTURE(seqs);
    reception x{here};
    seqs ? x.begin_after(0) : x.begin_whole();
    x.take(seqs ? 1 : 0, stamp{1, 1, 0, here});
    x.began_again();
    x.take(seqs ? 9 : 0, stamp{1, 9, 0, here});
    CHECK(x.counts() == reception_counts{.entries = 2, .announced = 7});
    x.take(seqs ? 11 : 0, stamp{1, 11, 0, here});
    CHECK(x.counts() == reception_counts{.entries = 3, .missing = 1, .announced = 7});
  }
}

TEST_CASE("another incarnation of the log, announced, begins anew") {
  reception x{here};
  x.begin_after(0);
  for (std::uint64_t n = 1; n <= 5; ++n)
    x.take(n, stamp{1, n, 0, here});
  x.announced(0, 0);
  x.take(1, stamp{1, 6, 0, here});
  x.take(2, stamp{1, 7, 0, here});
  CHECK(x.counts().clean());
  CHECK_FALSE(x.announced_ranges());
}

TEST_CASE("at the end, what was published and never came is missing, once") {
  reception x{here};
  x.begin_after(0);
  x.take(1, stamp{1, 1, 0, here});
  x.ended_at(4);
  x.ended_at(1, 3);
  x.ended_at(2, 1);
  CHECK(x.counts() == reception_counts{.entries = 1, .missing = 3});
  x.ended_at(1, 4);
  CHECK(x.counts().missing == 4);
}

TEST_CASE("a reader that got nothing at all has everything missing") {
  reception with_seqs{here};
  with_seqs.ended_at(10);
  CHECK(with_seqs.counts().missing == 10);
  reception without{here};
  without.ended_at(1, 10);
  CHECK(without.counts().missing == 10);
  reception later{here};
  later.begin_behind(1, 8);
  later.ended_at(1, 10);
  CHECK(later.counts().missing == 2);
}

TEST_CASE("compact numbers go on over their end") {
  reception x{here};
  x.begin_behind(1, compact_number_mask - 2);
  for (std::uint64_t n = compact_number_mask - 1; n < compact_number_mask + 20; ++n)
    if (n != compact_number_mask + 10)
      x.take(0, compacted({1, n, 0, here}));
  CHECK(x.counts() == reception_counts{.entries = 20, .missing = 1});
  x.take(0, compacted({1, compact_number_mask + 10, 0, here}));
  CHECK(x.counts() == reception_counts{.entries = 21, .reordered = 1});
  CHECK(x.last_number(1) == compact_number_mask + 19);
}
