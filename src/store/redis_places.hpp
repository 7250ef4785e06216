// What this process knows of the logs in Redis: how they were last seen, and where entries stand.
//
// Invariants:
// (1) Within an epoch, a tail that was seen is never forgotten for a lower one: a log that went
// back
//     is recognised by it (DESIGN §8).
// (2) Places of another epoch than the last that was seen are of no use, and not kept.
// (3) Memory is bounded: `logs_max` logs, of which those used last are kept, each with `marks_max`
//     places.
#pragma once

#include "store/log_store.hpp"

#include <list>
#include <map>
#include <mutex>
#include <unordered_map>

namespace confab::store {

/// A log in Redis at one moment. One that does not exist has an empty epoch.
struct redis_sight {
  log_head head;
  /// No entry may get an id that is not beyond it.
  model::entry_id top = {};
  /// Entries that the stream holds.
  std::uint64_t length = 0;
  /// Place of the first that is there, also of those that are not shown.
  model::seq held{1};
};

/// Any thread.
class redis_places {
public:
  static constexpr std::size_t logs_max = 65'536;
  static constexpr std::size_t marks_max = 4'096;
  static constexpr std::uint64_t mark_every = 256;

  /// As it was last seen; nothing: not (lately).
  [[nodiscard]] std::optional<redis_sight> find(const model::conversation_name& name);
  void saw(const model::conversation_name& name, const redis_sight& now);
  /// A fork shares its entries: it is one of those `seen`, though nobody may ask for it itself.
  void hear_of(const model::conversation_name& name);

  /// An entry of this epoch stands there. Every 256th is remembered, or any that is `wanted`.
  void passed(const model::conversation_name& name, const model::epoch& epoch, model::seq at,
              model::entry_id id, bool wanted = false);

  struct place {
    model::seq at;
    model::entry_id id;
  };
  /// The nearest known places: the last one that is not beyond `at`, and the first one beyond it.
  struct neighbours {
    std::optional<place> below, above;
  };
  [[nodiscard]] neighbours around(const model::conversation_name& name, const model::epoch& epoch,
                                  model::seq at);
  /// Likewise by id.
  [[nodiscard]] neighbours around_id(const model::conversation_name& name,
                                     const model::epoch& epoch, model::entry_id id);

  /// Up to `limit` names of logs that were seen, those behind `after` in an order of their own;
  /// fewer: there are no more.
  [[nodiscard]] std::vector<model::conversation_name> seen(std::size_t limit);

private:
  struct known {
    model::conversation_name name;
    redis_sight sight;
    std::map<model::seq, model::entry_id> marks;
  };
  known& touch(const model::conversation_name& name);

  std::mutex mutex_;
  /// Most recently used first.
  std::list<known> order_;
  std::unordered_map<model::conversation_name, std::list<known>::iterator> by_name_;
  /// Where `seen` goes on.
  std::list<known>::iterator next_ = order_.end();
};

} // namespace confab::store
