// One load reader's check of one conversation: did every entry come, once, in order, and from where
// it should?
//
// Invariants:
//  1. An entry counts as one thing: fresh, late (`reordered`), `repeated`; each seq that never
//  comes is `missing` once.
//  2. A server's dense seqs are the order if it has them; publishers' numbers are checked besides.
//  A number that is skipped
//     because its seq is missing or announced is not counted again.
//  3. A late entry fills the gap it left: `missing` falls by one, `reordered` rises by one.
//  4. What the server announced (a reset) is never `missing`.
#pragma once

#include "model/stamp.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace confab::model {

enum class offence_kind : std::uint8_t { missing, repeated, reordered, foreign };

[[nodiscard]] std::string_view to_string(offence_kind x) noexcept;

/// The first thing that was wrong.
struct offence {
  offence_kind kind = offence_kind::missing;
  /// Of the entry that showed it; 0 without.
  std::uint64_t seq = 0;
  std::uint32_t publisher = 0;
  std::uint64_t number = 0;
  /// What should have come: a seq, or with `by_number` this publisher's number; 0 if nothing in
  /// particular.
  std::uint64_t expected = 0;
  bool by_number = false;

  friend bool operator==(const offence&, const offence&) = default;
};

struct reception_counts {
  /// All that came, whatever it was.
  std::uint64_t entries = 0;
  std::uint64_t missing = 0;
  std::uint64_t repeated = 0;
  std::uint64_t reordered = 0;
  std::uint64_t foreign = 0;
  /// Entries that the server said are not to be had.
  std::uint64_t announced = 0;

  [[nodiscard]] bool clean() const noexcept {
    return missing + repeated + reordered + foreign == 0;
  }
  reception_counts& operator+=(const reception_counts& x) noexcept;
  friend bool operator==(const reception_counts&, const reception_counts&) = default;
};

/// A fingerprint of an entry, for sums over ranges.
[[nodiscard]] std::uint64_t entry_digest(std::uint64_t seq, std::uint32_t publisher,
                                         std::uint64_t number) noexcept;

/// One thread. Small while all is well: what describes trouble is allocated with the first trouble.
class reception {
public:
  /// Gaps that late entries may still fill, and announced ranges; beyond, the oldest gap stays
  /// missing, its late entries count as repeated, and a reader with so many announced ranges is not
  /// compared with the log.
  static constexpr std::size_t gaps_max = 256;

  /// @param check `conversation_check` of what is followed.
  explicit reception(std::uint32_t check) noexcept : check_{check} {}

  // Where it begins; without any of these, whatever comes first is the beginning.

  /// Everything behind `after` is expected; behind 0, every publisher's number 1 too.
  void begin_after(std::uint64_t after) noexcept;
  /// For servers without seqs: every publisher's number 1 is still to come.
  void begin_whole() noexcept { whole_ = true; }
  /// For readers that join in the middle: this publisher's later numbers are expected.
  void begin_behind(std::uint32_t publisher, std::uint64_t number);

  /// @param seq the server's, or 0. @param x nothing if the payload is no stamp.
  void take(std::uint64_t seq, const std::optional<stamp>& x);

  /// A resumed subscription goes on behind `at`, as the server says: what it skips is missing at
  /// once.
  void resumed_at(std::uint64_t at);
  /// The server cannot resume: whatever is skipped up to the next entry counts as announced.
  void began_again();
  /// The server says that [from, to] is not to be had; zeros: whatever is skipped up to the next
  /// entry.
  void announced(std::uint64_t from, std::uint64_t to);

  // At the end of a run, seqs first: what is known to be published and has not come is missing; all
  // of it, if nothing ever came and no beginning was named.

  void ended_at(std::uint64_t tail);
  void ended_at(std::uint32_t publisher, std::uint64_t number);

  [[nodiscard]] reception_counts counts() const noexcept;
  /// Null as long as all is well.
  [[nodiscard]] const offence* first_offence() const noexcept;

  /// The highest seq taken or announced; 0 at first.
  [[nodiscard]] std::uint64_t last_seq() const noexcept { return last_; }
  /// The highest number of this publisher that came, 0 if none did; for waiting until everything
  /// has arrived.
  [[nodiscard]] std::uint64_t last_number(std::uint32_t publisher) const noexcept;
  /// `number` of a compact stamp as the whole number that it must be, from what came before; others
  /// as they are.
  /// @pre ask before `take`
  [[nodiscard]] std::uint64_t whole_number(const stamp& x) const noexcept;

  // For the comparison with the log (`log_digest`). Entries that came twice are in the sum once.

  /// The seqs (after, last] are covered by `digest`, apart from `announced_ranges`.
  [[nodiscard]] std::uint64_t covered_after() const noexcept { return after_; }
  [[nodiscard]] std::uint64_t digest() const noexcept { return digest_; }
  /// Inclusive, rising. Nothing if there were more than `gaps_max`, or of unknown ends.
  [[nodiscard]] std::optional<std::vector<std::pair<std::uint64_t, std::uint64_t>>>
  announced_ranges() const;

private:
  struct line {
    std::uint64_t last = 0;
    std::uint32_t publisher = 0;
    bool known = false;
    /// Its next gap is announced, however wide.
    bool excused = false;
  };
  struct trouble;

  trouble& in_trouble();
  void note(offence_kind kind, offence x);
  enum class arrival : std::uint8_t { fresh, late, repeated };

  [[nodiscard]] bool foreign(const std::optional<stamp>& x) const noexcept;
  arrival take_seq(std::uint64_t seq, const std::optional<stamp>& x);
  /// @param by_seq what its seq says of it. @returns what its number says.
  arrival take_number(std::uint64_t seq, const stamp& x, arrival by_seq);
  void skip_seqs(std::uint64_t through, const offence& shown_by);
  void skip_numbers(line& of, std::uint64_t through, const offence& shown_by);
  void excuse_next() noexcept;
  [[nodiscard]] const line* find(std::uint32_t publisher) const noexcept;
  line& line_of(std::uint32_t publisher);

  std::uint32_t check_;
  bool seq_known_ = false;
  bool whole_ = false;
  /// The next gap is announced, however wide.
  bool excused_ = false;
  std::uint64_t after_ = 0;
  std::uint64_t last_ = 0;
  std::uint64_t entries_ = 0;
  std::uint64_t digest_ = 0;
  /// Most conversations have one publisher.
  line first_line_;
  std::vector<line> other_lines_;
  struct trouble_deleter {
    void operator()(trouble* x) const noexcept;
  };
  std::unique_ptr<trouble, trouble_deleter> trouble_;
};

static_assert(sizeof(reception) <= 128, "20,000 of them are in one process");

} // namespace confab::model
