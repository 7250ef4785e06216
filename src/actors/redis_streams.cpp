#include "actors/redis_streams.hpp"

#include "actors/pubsub.hpp"
#include "actors/redis_bridge.hpp"
#include "actors/stream_copier.hpp"
#include "actors/stream_mirror.hpp"
#include "actors/stream_speaker.hpp"
#include "store/stream_source.hpp"

#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <random>

namespace confab::actors {

namespace {

/// What others left is looked for at least so often.
constexpr std::int64_t tidy_ms_max = 10'000;
constexpr std::chrono::seconds hand_over_patience{2};

std::string hexadecimal(std::int64_t x) {
  char text[16];
  auto [end, failure] = std::to_chars(text, text + sizeof text, x, 16);
  return failure == std::errc{} ? std::string{text, end} : std::string{};
}

} // namespace

model::result<std::unique_ptr<redis_streams>> redis_streams::open(const streams_options& how,
                                                                  store::log_store& log,
                                                                  store::log_writer& session,
                                                                  environment& env) {
  auto* ledger = session.ledger();
  std::unique_ptr<redis_streams> made{new redis_streams{how, env}};
  if (ledger == nullptr) {
    made->wakes_only_ = true;
    made->origin_ = env.incarnation;
    if (how.pubsub_out.empty())
      return made;
    auto reading = log.reader();
    if (!reading)
      return reading.why();
    made->spoken_log_ = std::move(*reading);
    return made;
  }
  std::random_device random;
  auto number = static_cast<std::int64_t>((std::uint64_t{random()} << 31) ^ random());
  auto now = env.wall_ms();
  // By the clock that gives ids to what is added; by ours while Redis is away.
  auto begun = store::redis_time_ms(how.redis);
  auto origin = ledger->remember("redis.origin", number);
  auto since = ledger->remember("redis.since_ms", begun ? *begun : now);
  auto mirror_since = ledger->remember("mirror.since_ms", now);
  for (const auto* x : {&origin, &since, &mirror_since})
    if (!*x)
      return x->why();
  made->origin_ = hexadecimal(*origin);
  made->since_ms_ = *since;
  made->mirror_since_ms_ = *mirror_since;
  return made;
}

stream_actors
redis_streams::start(caf::actor_system& system, const ledger_writer_actor& writer,
                     const std::shared_ptr<const std::vector<log_reader_actor>>& readers) {
  start_channels(system);
  if (wakes_only_)
    return streams_;
  copier_options copying{.streams = store::open_stream_source(how_.redis),
                         .import_all = how_.import_all,
                         .reconcile_ms = how_.reconcile_ms,
                         .origin = origin_,
                         .since_ms = since_ms_};
  mirror_options mirroring{.streams = store::open_stream_target({how_.redis, origin_, how_.maxlen}),
                           .since_ms = mirror_since_ms_};
  streams_.copier =
      system.spawn<caf::detached>(stream_copier, std::move(copying), writer, readers, &env_);
  streams_.mirror =
      system.spawn<caf::detached>(stream_mirror, std::move(mirroring), writer, readers, &env_);
  spawned(streams_.copier);
  spawned(streams_.mirror);
  return streams_;
}

void redis_streams::start_channels(caf::actor_system& system) {
  if (!how_.pubsub_in.empty()) {
    listening_options listening{.redis = how_.redis, .channels = how_.pubsub_in};
    // Channels are common to all databases of a Redis.
    if (!how_.cluster.empty())
      listening.list_channel =
          "confab:listeners:" + std::to_string(how_.redis.database) + ':' + how_.cluster;
    streams_.listener = system.spawn<caf::detached>(pubsub_listener, std::move(listening), &env_);
    spawned(streams_.listener);
  }
  if (how_.pubsub_out.empty())
    return;
  if (wakes_only_) {
    speaker_options speaking{how_.redis, std::move(spoken_log_), how_.pubsub_out};
    streams_.stream_speaker =
        system.spawn<caf::detached>(stream_speaker, std::move(speaking), &env_);
    spawned(streams_.stream_speaker);
  } else {
    streams_.speaker =
        system.spawn<caf::detached>(pubsub_speaker, how_.redis, how_.pubsub_out, &env_);
    spawned(streams_.speaker);
  }
}

void redis_streams::join(caf::actor_system& system, const directory_actor& directory) {
  if (streams_.copier)
    caf::anon_send(streams_.copier, atom::open::value, directory);
  if (streams_.listener)
    caf::anon_send(streams_.listener, atom::open::value, directory);
  // Behind which pointers are of no use: conversations read their streams when they begin.
  auto begin = wakes_only_ ? "$" : how_.import_all ? "0" : std::to_string(since_ms_ - 1) + "-0";
  bridge_options bridging{.pointers = store::open_pointer_group({.redis = how_.redis,
                                                                 .group = how_.group,
                                                                 .consumer = "confab-" + origin_,
                                                                 .begin_id = std::move(begin),
                                                                 .fanout_ms = how_.fanout_ms,
                                                                 .claim_ms = how_.claim_ms,
                                                                 .gone_ms = how_.gone_ms}),
                          .origin = origin_,
                          .tidy_ms = std::min(tidy_ms_max, how_.claim_ms / 3)};
  spawned(system.spawn<caf::detached>(redis_bridge, std::move(bridging), streams_.copier, directory,
                                      &env_));
}

void redis_streams::hand_over(caf::actor_system& system) {
  if (!streams_.listener || how_.cluster.empty())
    return;
  caf::scoped_actor self{system};
  // What could not be handed over in that time is lost, as Pub/Sub is.
  self->request(streams_.listener, hand_over_patience, atom::leave::value)
      .receive([](bool) {},
               [](const caf::error& why) {
                 spdlog::warn("pubsub: what is published now may be lost: {}", caf::to_string(why));
               });
}

void redis_streams::leave() {
  for (const auto& x : spawned_)
    caf::anon_send_exit(x, caf::exit_reason::user_shutdown);
}

void redis_streams::stop(caf::actor_system& system) {
  caf::scoped_actor self{system};
  for (const auto& x : spawned_)
    self->wait_for(x);
  spawned_.clear();
  streams_ = {};
}

} // namespace confab::actors
