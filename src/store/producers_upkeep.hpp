// What the hashes of producers in Redis need now and then, instead of with each append.
#pragma once

#include "model/log_state.hpp"
#include "model/name.hpp"

#include <cstdint>
#include <string>
#include <unordered_map>

namespace confab::store {

struct producers_upkeep {
  /// How long the hash is kept from now on; empty: as before.
  std::string kept_ms;
  /// It has so many fields that looking for one takes Redis longer than appending an entry.
  bool many = false;
};

/// A hash outlives its newest row by ten minutes, although it is told so once in ten minutes.
[[nodiscard]] std::string producers_kept_ms(std::int64_t ttl_s);

/// By conversation; bounded. One thread at a time.
class producers_upkeeps {
public:
  explicit producers_upkeeps(std::int64_t ttl_s) : ttl_s_{ttl_s} {}

  [[nodiscard]] producers_upkeep due(const model::conversation_name& name,
                                     const model::epoch& epoch, std::int64_t now_ms) const;
  /// What was due is done, with so many appends.
  void done(const model::conversation_name& name, const model::epoch& epoch, std::size_t appends,
            std::int64_t now_ms);

private:
  struct known {
    model::epoch epoch;
    std::int64_t prolonged_ms = 0;
    /// Since then.
    std::size_t appends = 0;
    bool many_told = false;
  };

  std::int64_t ttl_s_;
  std::unordered_map<model::conversation_name, known> known_;
};

} // namespace confab::store
