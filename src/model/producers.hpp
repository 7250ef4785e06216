// One publish, one entry: what a producer's number means for a conversation (DESIGN §5).
//
// Invariants:
// (1) Each number of a producer is appended at most once; a repeat gets the first one's receipt.
// (2) An unknown producer may start at any number (`numbering::from_zero`: at 0); then each is the
//     last + 1. A refused one is not used up: until it comes again, what was sent behind it is a
//     gap, whoever refused it and why, also in a log that was begun anew meanwhile. Else it would
//     be passed over for ever, if it was the first.
//     Internal producers (`~…`) may leave numbers out: theirs only tell a retry from a new draft.
// (3) A higher epoch fences the lower ones and may start at any number (`from_zero`: at 0).
// (4) Memory is bounded: `producers_max` producers with `receipts_max` receipts each, in front of
//     the stored table, and as many with refused numbers; of more, some are forgotten.
//     Only producers with nothing in flight are forgotten, and not the one in use.
#pragma once

#include "model/entry.hpp"
#include "model/refusals.hpp"

#include <cstddef>
#include <deque>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace confab::model {

/// Numbered by a connection of this process, for drafts without a producer.
[[nodiscard]] inline bool internal_producer(std::string_view producer) noexcept {
  return producer.starts_with('~');
}

struct producer_verdict {
  enum class kind : std::uint8_t {
    accept,    ///< It is the next one.
    duplicate, ///< Appended before; `receipt` is its answer.
    in_flight, ///< An equal one waits for its outcome, which answers both.
    unknown,   ///< Ask the stored table, then `learned`, then again.
    older, ///< Appended before (an internal one: perhaps); its receipt must be read back from the
           ///< log.
    gap,   ///< `expected` is the number that would be taken.
    bad_start, ///< A new epoch has to begin with number 0.
    fenced,    ///< Its epoch is lower than one that was seen, `expected`.
    mismatch,  ///< An idempotency key with another body.
  } what = kind::accept;
  model::receipt receipt = {};
  std::uint64_t expected = 0;
};

/// The producers of one conversation. One thread.
class producers {
public:
  static constexpr std::size_t producers_max = 1024;
  static constexpr std::size_t receipts_max = 8;

  /// Changes nothing but the order of forgetting.
  [[nodiscard]] producer_verdict check(const batch& x);

  /// What the stored table holds of a producer: its epoch, last number and receipt; or nothing.
  void learned(std::string_view producer, std::uint32_t epoch,
               std::optional<std::uint64_t> last_number, const receipt& last,
               std::uint64_t fingerprint);

  /// @pre check(x) said `accept`, or `unknown` and the caller knows that the table has nothing.
  void started(const batch& x);
  /// The oldest number in flight of this producer is durable. Of an older epoch: of no further use.
  void committed(std::string_view producer, std::uint32_t epoch, std::uint64_t number,
                 const receipt& got);
  /// This number, and unless it is internal all that were started behind it, failed; `refused` says
  /// for each why.
  void failed(std::string_view producer, std::uint32_t epoch, std::uint64_t number);
  /// What became of all that is in flight is unknown: `check` says `unknown` until `learned`.
  void lose_track();

  /// Its producer is told `why` it is not taken, by this node or by the one that it was sent to.
  void refused(const batch& x, const error& why);
  /// Another node has appended it.
  void taken(const batch& x);
  /// Its sender knows that `first` was refused and did not come again.
  void await(std::string_view producer, producer_number first);
  /// The one that `x` was sent behind, if it is still to come.
  [[nodiscard]] std::optional<producer_number> awaited(const batch& x) const {
    return refused_.before(x);
  }
  /// It is sent to whoever judges it, and waited for no longer.
  void comes(const batch& x) { refused_.comes(x); }

  /// The log is no more, and its numbers count no longer; what was refused is still to come.
  /// @pre nothing is in flight.
  void begin_anew();

  /// The highest number of this producer that is durable, if it is known.
  [[nodiscard]] std::optional<std::uint64_t> last_of(std::string_view producer) const;

  /// Whether drafts of it are in flight.
  [[nodiscard]] bool busy(std::string_view producer) const;

  [[nodiscard]] std::size_t size() const noexcept { return by_id_.size(); }

private:
  struct numbered {
    std::uint64_t number;
    model::receipt receipt;
  };
  struct producer {
    std::uint32_t epoch = 0;
    std::optional<std::uint64_t> last;
    std::uint64_t fingerprint = 0;
    bool unsure = false;
    std::deque<std::uint64_t> in_flight;
    std::vector<numbered> receipts;
    std::list<std::string>::iterator used;
  };

  using table = std::unordered_map<std::string, producer, hash_of_id, std::equal_to<>>;

  /// Whether it is appended, or fenced.
  [[nodiscard]] bool passed(std::string_view producer, producer_number x) const;
  /// Used just now; made if it is not there.
  producer& touch(std::string_view id);
  producer& touch(table::iterator at);
  void forget_some();

  refusals refused_{producers_max};
  table by_id_;
  /// Least recently used first.
  std::list<std::string> order_;
};

} // namespace confab::model
