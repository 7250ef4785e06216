// Old Pub/Sub paths: what is PUBLISHed becomes entries, and entries are PUBLISHed (DESIGN §8).
#pragma once

#include "actors/environment.hpp"
#include "actors/quiet_log.hpp"
#include "actors/redis_interfaces.hpp"
#include "model/channel.hpp"
#include "model/listeners.hpp"
#include "store/redis_channels.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include <map>

namespace confab::actors {

struct listening_options {
  store::redis_options redis;
  /// With `*`.
  std::string channels;
  /// Where the listeners of several nodes publish who is there; empty: this node is alone.
  std::string list_channel = {};
};

/// Hears what others PUBLISH and appends it. What is published while it is not connected is lost,
/// as Pub/Sub is; what it has heard is appended once, also over outcomes that nobody knows.
struct pubsub_listener_state {
  using self_pointer = pubsub_listener_actor::stateful_pointer<pubsub_listener_state>;

  explicit pubsub_listener_state(self_pointer parent) : self{parent} {}

  void open(const directory_actor& x);
  void placed(const cluster_view_ptr& x);
  caf::result<bool> leave();
  void work();
  void receipts(const append_answers& x);

  // Steps of the above.

  [[nodiscard]] model::status listen();
  /// So much waits for the log that no more is taken from Redis.
  [[nodiscard]] bool full() const;
  [[nodiscard]] model::status hear();
  void take(const store::heard_message& x);
  /// Tells all listeners which nodes there are, if that is due.
  [[nodiscard]] model::status publish_list();
  void append(const model::conversation_name& to, const std::string& payload);
  void send_out(std::uint64_t request);

  void answer_leaving();

  struct waiting {
    model::conversation_name to;
    publication what;
  };

  self_pointer self;
  environment* env = nullptr;
  std::optional<store::channel_listener> redis;
  std::optional<model::channel_pattern> pattern;
  std::string list_channel;
  /// Nothing: this node is alone.
  std::optional<model::listeners> among;
  std::optional<store::channel_speaker> list_speaker;
  bool listening = false;
  directory_actor directory;
  quiet_log complaints;
  std::map<std::uint64_t, waiting> unanswered;
  std::size_t unanswered_bytes = 0;
  std::uint64_t last_request = 0;
  std::vector<caf::typed_response_promise<bool>> leaving;

  static inline const char* name = "pubsub_listener";
};

pubsub_listener_actor::behavior_type pubsub_listener(pubsub_listener_state::self_pointer self,
                                                     listening_options how, environment* env);

/// What old consumers get for an entry.
[[nodiscard]] std::string spoken_message(const model::conversation_name& of, const model::entry& x);

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
