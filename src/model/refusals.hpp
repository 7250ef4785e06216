// Drafts that were refused, and are still to come before anything that was sent behind them.
//
// To a log that knows nothing of their producer the next number would look like its beginning, and
// the refused one, sent again, like one that was appended long ago: lost. So whoever refuses, or
// passes a refusal on, remembers it until the number comes again.
#pragma once

#include "model/entry.hpp"
#include "model/error.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace confab::model {

/// A place in what one producer sends.
struct producer_number {
  std::uint32_t epoch = 0;
  std::uint64_t number = 0;

  friend auto operator<=>(const producer_number&, const producer_number&) = default;
};

/// Of a producer's id, for lookups without a copy of it.
struct hash_of_id {
  using is_transparent = void;
  std::size_t operator()(std::string_view x) const noexcept {
    return std::hash<std::string_view>{}(x);
  }
};

/// From the lowest such number of a producer, of its highest epoch, to the highest one; numbers have
/// no gaps. Of internal producers (`~…`), whose numbers have no order, and of idempotency keys
/// (`=…`), which have one number, nothing is noted. One thread.
class refusals {
public:
  /// @param most beyond so many producers the one that was refused longest ago is forgotten.
  explicit refusals(std::size_t most) : most_{most} {}

  /// Its producer is told `why` it is not taken.
  void refused(const batch& x, const error& why);
  /// Somebody else has refused it.
  void note(std::string_view producer, producer_number x);
  /// All up to this one are appended.
  void taken(std::string_view producer, producer_number x);
  /// It is sent again, and then waited for no longer.
  void comes(const batch& x);

  /// The first one that `x` was sent behind, if it is still to come.
  [[nodiscard]] std::optional<producer_number> before(const batch& x) const;
  [[nodiscard]] bool empty() const noexcept { return by_producer_.empty(); }

private:
  struct noted {
    producer_number first;
    std::uint64_t last;
    std::uint64_t since;
  };

  using table = std::unordered_map<std::string, noted, hash_of_id, std::equal_to<>>;

  void note(std::string_view producer, producer_number first, std::uint64_t last);
  /// All up to this one have come.
  void pass(table::iterator at, std::uint64_t number);
  void forget_some();

  std::size_t most_;
  std::uint64_t last_since_ = 0;
  table by_producer_;
};

} // namespace confab::model
