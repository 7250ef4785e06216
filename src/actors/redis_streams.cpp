#include "actors/redis_streams.hpp"

#include "actors/pubsub.hpp"
#include "actors/redis_bridge.hpp"
#include "actors/stream_copier.hpp"
#include "actors/stream_mirror.hpp"
#include "store/stream_source.hpp"

#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include <algorithm>
#include <charconv>
#include <random>

namespace confab::actors {

namespace {

/// What others left is looked for at least so often.
constexpr std::int64_t tidy_ms_max = 10'000;

std::string hexadecimal(std::int64_t x) {
  char text[16];
  auto [end, failure] = std::to_chars(text, text + sizeof text, x, 16);
  return failure == std::errc{} ? std::string{text, end} : std::string{};
}

} // namespace

model::result<std::unique_ptr<redis_streams>>
redis_streams::open(const streams_options& how, store::log_writer& session, environment& env) {
  auto* ledger = session.ledger();
  std::unique_ptr<redis_streams> made{new redis_streams{how, env}};
  if (ledger == nullptr) {
    made->wakes_only_ = true;
    made->origin_ = env.incarnation;
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
  if (wakes_only_)
    return {};
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
  if (!how_.pubsub_out.empty())
    streams_.speaker =
        system.spawn<caf::detached>(pubsub_speaker, how_.redis, how_.pubsub_out, &env_);
  spawned_ = {caf::actor_cast<caf::actor>(streams_.copier),
              caf::actor_cast<caf::actor>(streams_.mirror)};
  if (streams_.speaker)
    spawned_.push_back(caf::actor_cast<caf::actor>(streams_.speaker));
  return streams_;
}

void redis_streams::join(caf::actor_system& system, const directory_actor& directory) {
  if (streams_.copier)
    caf::anon_send(streams_.copier, atom::open::value, directory);
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
  spawned_.push_back(caf::actor_cast<caf::actor>(system.spawn<caf::detached>(
      redis_bridge, std::move(bridging), streams_.copier, directory, &env_)));
  if (!how_.pubsub_in.empty())
    spawned_.push_back(caf::actor_cast<caf::actor>(system.spawn<caf::detached>(
        pubsub_listener, how_.redis, how_.pubsub_in, directory, &env_)));
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
