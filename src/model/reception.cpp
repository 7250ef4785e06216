#include "model/reception.hpp"

#include <algorithm>
#include <cassert>

namespace confab::model {

/// What is not needed while all is well.
struct reception::trouble {
  struct gap {
    bool of_seqs = false;
    std::uint32_t publisher = 0;
    /// Inclusive.
    std::uint64_t from = 0, through = 0;
    /// How many of them are in `missing`; the others are excused by a gap of seqs.
    std::uint64_t counted = 0;
  };

  reception_counts counts;
  /// Numbers that may be skipped because their seqs are already missing or announced.
  std::uint64_t allowance = 0;
  std::vector<gap> gaps;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> announced;
  bool announced_unknown = false;
  std::optional<offence> first;

  void add_gap(const gap& x) {
    if (gaps.size() == gaps_max)
      gaps.erase(gaps.begin());
    gaps.push_back(x);
  }

  void add_announced(std::uint64_t from, std::uint64_t through) {
    counts.announced += through - from + 1;
    allowance += through - from + 1;
    if (!announced.empty() && announced.back().second + 1 == from)
      announced.back().second = through;
    else if (announced.size() < gaps_max)
      announced.emplace_back(from, through);
    else
      announced_unknown = true;
  }

  /// Takes `at` out of its gap. @returns the gap as it was.
  std::optional<gap> fill(bool of_seqs, std::uint32_t publisher, std::uint64_t at) {
    auto found = std::find_if(gaps.begin(), gaps.end(), [&](const gap& x) {
      return x.of_seqs == of_seqs && (of_seqs || x.publisher == publisher) && x.from <= at &&
             at <= x.through;
    });
    if (found == gaps.end())
      return {};
    const auto was = *found;
    auto& left = *found;
    left.counted -= std::min<std::uint64_t>(left.counted, 1);
    if (was.from == was.through) {
      gaps.erase(found);
    } else if (at == was.from) {
      ++left.from;
    } else if (at == was.through) {
      --left.through;
    } else {
      auto right = left;
      left.through = at - 1;
      right.from = at + 1;
      auto size = left.through - left.from + 1;
      left.counted = std::min(left.counted, size);
      right.counted -= left.counted;
      add_gap(right);
    }
    return was;
  }
};

void reception::trouble_deleter::operator()(trouble* x) const noexcept {
  delete x;
}

std::string_view to_string(offence_kind x) noexcept {
  switch (x) {
  case offence_kind::missing:
    return "missing";
  case offence_kind::repeated:
    return "repeated";
  case offence_kind::reordered:
    return "reordered";
  case offence_kind::foreign:
    return "foreign";
  }
  return "unknown";
}

reception_counts& reception_counts::operator+=(const reception_counts& x) noexcept {
  entries += x.entries;
  missing += x.missing;
  repeated += x.repeated;
  reordered += x.reordered;
  foreign += x.foreign;
  announced += x.announced;
  return *this;
}

std::uint64_t entry_digest(std::uint64_t seq, std::uint32_t publisher,
                           std::uint64_t number) noexcept {
  auto mix = [](std::uint64_t x) {
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93;
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93;
    return x ^ (x >> 32);
  };
  return mix(mix(mix(seq + 0x9e3779b97f4a7c15) + publisher) + number);
}

void reception::begin_after(std::uint64_t after) noexcept {
  after_ = last_ = after;
  seq_known_ = true;
  whole_ = after == 0;
}

void reception::begin_behind(std::uint32_t publisher, std::uint64_t number) {
  auto& at = line_of(publisher);
  at.last = number;
  at.known = true;
}

void reception::take(std::uint64_t seq, const std::optional<stamp>& x) {
  ++entries_;
  auto by_seq = seq == 0 ? arrival::fresh : take_seq(seq, x);
  if (by_seq == arrival::repeated)
    return;
  if (foreign(x)) {
    note(offence_kind::foreign,
         {.seq = seq, .publisher = x ? x->publisher : 0, .number = x ? x->number : 0});
    ++in_trouble().counts.foreign;
    digest_ += entry_digest(seq, 0, 0);
    return;
  }
  auto by_number = take_number(seq, *x, by_seq);
  // A seq that is there twice is one thing, a publish that is in the log under two seqs another.
  if (seq != 0 || by_number != arrival::repeated)
    digest_ += entry_digest(seq, x->publisher, x->number);
}

bool reception::foreign(const std::optional<stamp>& x) const noexcept {
  return !x || ((x->conversation ^ check_) & (x->compact ? compact_check_mask : ~0U)) != 0;
}

reception::arrival reception::take_seq(std::uint64_t seq, const std::optional<stamp>& x) {
  const bool next = seq_known_ && seq == last_ + 1;
  if (next && !excused_) {
    last_ = seq;
    return arrival::fresh;
  }
  if (!seq_known_) {
    after_ = seq - 1;
    seq_known_ = true;
    excused_ = false;
    last_ = seq;
    return arrival::fresh;
  }
  offence here{.seq = seq,
               .publisher = x ? x->publisher : 0,
               .number = x ? x->number : 0,
               .expected = last_ + 1};
  if (std::exchange(excused_, false)) {
    auto& t = in_trouble();
    if (seq > last_ + 1)
      t.add_announced(last_ + 1, seq - 1);
    // Going back is another incarnation of the log: there is nothing to compare any more.
    t.announced_unknown = t.announced_unknown || seq <= last_;
    last_ = seq;
    return arrival::fresh;
  }
  if (seq > last_) {
    skip_seqs(seq - 1, here);
    last_ = seq;
    return arrival::fresh;
  }
  auto& t = in_trouble();
  if (t.fill(true, 0, seq)) {
    --t.counts.missing;
    ++t.counts.reordered;
    note(offence_kind::reordered, here);
    return arrival::late;
  }
  ++t.counts.repeated;
  note(offence_kind::repeated, here);
  return arrival::repeated;
}

reception::arrival reception::take_number(std::uint64_t seq, const stamp& x, arrival by_seq) {
  const auto number = whole_number(x);
  auto& at = line_of(x.publisher);
  if (at.known && number == at.last + 1 && by_seq == arrival::fresh) {
    at.last = number;
    at.excused = false;
    return arrival::fresh;
  }
  offence here{.seq = seq,
               .publisher = x.publisher,
               .number = number,
               .expected = at.last + 1,
               .by_number = true};
  if (!at.known || number > at.last) {
    if (by_seq == arrival::late && in_trouble().allowance > 0)
      --trouble_->allowance; // The gap that it filled had excused its own number.
    if ((at.known || whole_) && number > at.last + 1)
      skip_numbers(at, number - 1, here);
    at.known = true;
    at.excused = false;
    at.last = number;
    return by_seq;
  }
  auto& t = in_trouble();
  auto gap = t.fill(false, x.publisher, number);
  if (gap && by_seq == arrival::late)
    return arrival::late; // Its seq has already said so.
  if (!gap) {
    ++t.counts.repeated;
    note(offence_kind::repeated, here);
    return arrival::repeated;
  }
  if (gap->counted > 0)
    --t.counts.missing;
  else
    ++t.allowance;
  ++t.counts.reordered;
  note(offence_kind::reordered, here);
  return arrival::late;
}

void reception::skip_seqs(std::uint64_t through, const offence& shown_by) {
  auto& t = in_trouble();
  auto count = through - last_;
  t.counts.missing += count;
  t.allowance += count;
  t.add_gap({.of_seqs = true, .from = last_ + 1, .through = through, .counted = count});
  note(offence_kind::missing, shown_by);
  last_ = through;
}

void reception::skip_numbers(line& of, std::uint64_t through, const offence& shown_by) {
  auto& t = in_trouble();
  auto count = through - of.last;
  if (of.excused) {
    // With seqs, the gap of the seqs has been counted.
    t.counts.announced += shown_by.seq == 0 ? count : 0;
    return;
  }
  auto excused = std::min(count, t.allowance);
  t.allowance -= excused;
  t.counts.missing += count - excused;
  t.add_gap({.publisher = of.publisher,
             .from = of.last + 1,
             .through = through,
             .counted = count - excused});
  if (count > excused)
    note(offence_kind::missing, shown_by);
}

void reception::resumed_at(std::uint64_t at) {
  if (!seq_known_)
    begin_after(at);
  else if (at > last_)
    skip_seqs(at, {.seq = at, .expected = last_ + 1});
}

void reception::began_again() {
  excuse_next();
}

void reception::excuse_next() noexcept {
  excused_ = true;
  first_line_.excused = true;
  for (auto& x : other_lines_)
    x.excused = true;
  whole_ = false;
}

void reception::announced(std::uint64_t from, std::uint64_t to) {
  if (from == 0 || to < from) {
    excuse_next();
    return;
  }
  if (!seq_known_)
    begin_after(from - 1);
  if (to <= last_)
    return;
  if (from > last_ + 1)
    skip_seqs(from - 1, {.seq = to, .expected = last_ + 1});
  in_trouble().add_announced(last_ + 1, to);
  last_ = to;
}

void reception::ended_at(std::uint64_t tail) {
  if (!seq_known_)
    begin_after(0);
  if (tail > last_)
    skip_seqs(tail, {.seq = tail, .expected = last_ + 1});
}

void reception::ended_at(std::uint32_t publisher, std::uint64_t number) {
  auto& at = line_of(publisher);
  at.known = true;
  if (number <= at.last)
    return;
  skip_numbers(
      at, number,
      {.publisher = publisher, .number = number, .expected = at.last + 1, .by_number = true});
  at.last = number;
}

reception_counts reception::counts() const noexcept {
  auto x = trouble_ ? trouble_->counts : reception_counts{};
  x.entries = entries_;
  return x;
}

const offence* reception::first_offence() const noexcept {
  return trouble_ && trouble_->first ? &*trouble_->first : nullptr;
}

std::uint64_t reception::last_number(std::uint32_t publisher) const noexcept {
  const auto* at = find(publisher);
  return at != nullptr ? at->last : 0;
}

std::uint64_t reception::whole_number(const stamp& x) const noexcept {
  const auto* at = x.compact ? find(x.publisher) : nullptr;
  if (at == nullptr)
    return x.number;
  // The nearest one with these low bits.
  auto ahead = (x.number - at->last) & compact_number_mask;
  auto back = compact_number_mask + 1 - ahead;
  return ahead > compact_number_mask / 2 && back <= at->last ? at->last - back : at->last + ahead;
}

std::optional<std::vector<std::pair<std::uint64_t, std::uint64_t>>>
reception::announced_ranges() const {
  if (!trouble_)
    return std::vector<std::pair<std::uint64_t, std::uint64_t>>{};
  if (trouble_->announced_unknown)
    return {};
  return trouble_->announced;
}

reception::trouble& reception::in_trouble() {
  if (!trouble_)
    trouble_.reset(new trouble);
  return *trouble_;
}

void reception::note(offence_kind kind, offence x) {
  auto& first = in_trouble().first;
  x.kind = kind;
  if (!first)
    first = x;
}

const reception::line* reception::find(std::uint32_t publisher) const noexcept {
  if (first_line_.known && first_line_.publisher == publisher)
    return &first_line_;
  auto found = std::find_if(other_lines_.begin(), other_lines_.end(),
                            [&](const line& x) { return x.publisher == publisher; });
  return found != other_lines_.end() ? &*found : nullptr;
}

reception::line& reception::line_of(std::uint32_t publisher) {
  if (const auto* found = find(publisher))
    return const_cast<line&>(*found); // The object itself is not const here.
  if (!first_line_.known) {
    first_line_.publisher = publisher;
    return first_line_;
  }
  return other_lines_.emplace_back(line{.publisher = publisher});
}

} // namespace confab::model
