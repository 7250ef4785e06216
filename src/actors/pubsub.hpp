// Old Pub/Sub paths: what is PUBLISHed becomes entries, and entries are PUBLISHed (DESIGN §8).
#pragma once

#include "actors/environment.hpp"
#include "actors/quiet_log.hpp"
#include "actors/redis_interfaces.hpp"
#include "model/channel.hpp"
#include "store/redis_channels.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <unordered_map>

namespace confab::actors {

/// Hears what others PUBLISH and appends it. What is published while it is not connected is lost,
/// as Pub/Sub is; what it has heard is appended once, also over outcomes that nobody knows.
struct pubsub_listener_state {
  using self_pointer = pubsub_listener_actor::stateful_pointer<pubsub_listener_state>;

  explicit pubsub_listener_state(self_pointer parent) : self{parent} {}

  void work();
  void receipts(const append_answers& x);

  // Steps of the above.

  /// @returns whether something came.
  [[nodiscard]] model::result<bool> hear();
  void append(const model::conversation_name& to, const std::string& payload);
  void send_out(std::uint64_t request);

  struct waiting {
    model::conversation_name to;
    publication what;
  };

  self_pointer self;
  environment* env = nullptr;
  std::optional<store::channel_listener> redis;
  std::optional<model::channel_pattern> pattern;
  bool listening = false;
  directory_actor directory;
  quiet_log complaints;
  std::unordered_map<std::uint64_t, waiting> unanswered;
  std::size_t unanswered_bytes = 0;
  std::uint64_t last_request = 0;

  static inline const char* name = "pubsub_listener";
};

pubsub_listener_actor::behavior_type pubsub_listener(pubsub_listener_state::self_pointer self,
                                                     store::redis_options redis,
                                                     std::string pattern, directory_actor directory,
                                                     environment* env);

/// PUBLISHes entries once they are durable: to those who listen then, as Pub/Sub is.
struct pubsub_speaker_state {
  using self_pointer = pubsub_speaker_actor::stateful_pointer<pubsub_speaker_state>;

  explicit pubsub_speaker_state(self_pointer parent) : self{parent} {}

  void say(const model::conversation_name& name, const std::vector<model::run_ptr>& newest);

  self_pointer self;
  environment* env = nullptr;
  std::optional<store::channel_speaker> redis;
  std::optional<model::channel_pattern> channels;
  quiet_log complaints;

  static inline const char* name = "pubsub_speaker";
};

pubsub_speaker_actor::behavior_type pubsub_speaker(pubsub_speaker_state::self_pointer self,
                                                   store::redis_options redis, std::string channels,
                                                   environment* env);

} // namespace confab::actors
