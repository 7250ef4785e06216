// PUBLISHes what stands in streams of Redis for old consumers (DESIGN §8, role log): to those who
// listen then, as Pub/Sub is.
//
//   look, wake ──> due ──page of the log──> messages ──script──> channel
//
// Invariants:
// (1) How far a log was published moves in the step that publishes: whoever of several nodes does
//     it, an entry is published once, and in the order of the stream.
// (2) What is not published yet is in the log, and found there: nothing is queued but names.
// (3) What is older than `late_ms` is passed over: who listens now hears nothing of yesterday. A
//     log that was never published begins there, a fork behind what it shares.
#pragma once

#include "actors/environment.hpp"
#include "actors/quiet_log.hpp"
#include "actors/redis_interfaces.hpp"
#include "model/channel.hpp"
#include "store/redis_channels.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include <deque>
#include <unordered_map>

namespace confab::actors {

struct speaker_options {
  store::redis_options redis;
  std::shared_ptr<store::log_reader> log;
  /// With `{name}`.
  std::string channels;
};

struct stream_speaker_state {
  using self_pointer = stream_speaker_actor::stateful_pointer<stream_speaker_state>;

  explicit stream_speaker_state(self_pointer parent) : self{parent} {}

  caf::result<bool> wake(const model::conversation_name& of);
  void look(const model::conversation_name& of);
  void work();

  // Steps of the above.

  using promises = std::vector<caf::typed_response_promise<bool>>;
  promises& enter(const model::conversation_name& of);
  /// Publishes all that was not. Errors: those of the log and of `log_speaker`.
  [[nodiscard]] model::status speak(const model::conversation_name& of);
  /// A log's entries behind `at` are to be published; `spoken` is what Redis knows of that.
  struct place {
    model::position at;
    model::entry_id spoken;
  };
  /// Where it goes on; null: there is no such log.
  [[nodiscard]] model::result<const place*> find(const model::conversation_name& of);
  [[nodiscard]] store::log_speaker::stretch stretch_of(const model::conversation_name& of,
                                                       const place& from, const model::page& x);
  void refuse(const model::conversation_name& of, const model::error& why);

  self_pointer self;
  environment* env = nullptr;
  std::shared_ptr<store::log_reader> log;
  std::optional<store::log_speaker> redis;
  std::optional<model::channel_pattern> channels;
  quiet_log complaints;

  /// In their order, and who waits for each.
  std::deque<model::conversation_name> due;
  std::unordered_map<model::conversation_name, promises> waiting;
  bool working = false;
  std::unordered_map<model::conversation_name, place> places;

  static inline const char* name = "stream_speaker";
};

stream_speaker_actor::behavior_type stream_speaker(stream_speaker_state::self_pointer self,
                                                   speaker_options how, environment* env);

} // namespace confab::actors
