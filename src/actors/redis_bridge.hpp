// This node's consumer in the group of the fan-out stream: pointers become wake-ups (DESIGN §8).
//
// A pointer is acknowledged when its wake-up was answered: in role bridge everything that the
// conversation's stream held by then is in the log; in role log the conversation, if it is active,
// is told to look. Until then it is pending, and comes again to this consumer when it restarts, or
// to another one that claims it. Repeats are harmless: what is delivered comes from the stream, by
// its place.
#pragma once

#include "actors/environment.hpp"
#include "actors/quiet_log.hpp"
#include "actors/redis_interfaces.hpp"
#include "model/stream_entry.hpp"
#include "store/pointer_group.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

namespace confab::actors {

struct bridge_options {
  std::shared_ptr<store::pointer_group> pointers;
  /// The mark of this log's own pointers.
  std::string origin;
  /// How often it claims and tidies.
  std::int64_t tidy_ms = 10'000;
};

struct redis_bridge_state {
  using self_pointer = redis_bridge_actor::stateful_pointer<redis_bridge_state>;

  explicit redis_bridge_state(self_pointer parent) : self{parent} {}

  void work();

  // Steps of the above.

  /// Whether the group is there; it is created if not.
  [[nodiscard]] model::status join();
  [[nodiscard]] model::status acknowledge();
  [[nodiscard]] model::status read();
  /// What dead consumers have left.
  [[nodiscard]] model::status claim();
  /// Removes acknowledged pointers that are old, and consumers that are long gone.
  [[nodiscard]] model::status tidy();
  void take(const std::vector<model::stream_entry>& entries);
  /// Whom to wake, the ids of the pointers there, and the mark that all of them bear, if one.
  struct wake_up {
    std::vector<std::string> ids;
    std::string origin;
  };
  void wake(const model::conversation_name& name, wake_up x);
  void refuse(const model::stream_entry& x, const model::error& why);
  void woken(std::vector<std::string> ids, std::size_t count);
  void count_under_way() noexcept;
  void work_again(std::int64_t wait_ms);

  self_pointer self;
  environment* env = nullptr;
  bridge_options how;
  quiet_log complaints;
  /// In role bridge; null in role log.
  stream_copier_actor copier;
  directory_actor directory;

  bool joined = false;
  std::vector<std::string> done;
  /// Pointers that were read and are not acknowledged.
  std::size_t under_way = 0;
  std::int64_t tidied_ms = 0;

  static inline const char* name = "redis_bridge";
};

redis_bridge_actor::behavior_type redis_bridge(redis_bridge_state::self_pointer self,
                                               bridge_options how, stream_copier_actor copier,
                                               directory_actor directory, environment* env);

} // namespace confab::actors
