// Spawns and ends the actors between Redis and the conversations (DESIGN §8).
#pragma once

#include "actors/environment.hpp"
#include "actors/redis_interfaces.hpp"
#include "store/redis_address.hpp"

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>

#include <memory>
#include <vector>

namespace confab::actors {

struct streams_options {
  store::redis_options redis;
  std::string group = "confab";
  bool import_all = false;
  std::int64_t reconcile_ms = 5'000;
  std::uint64_t maxlen = 0;
  std::int64_t fanout_ms = 0;
  /// As in `store::group_options`.
  std::int64_t claim_ms = 30'000;
  std::int64_t gone_ms = 24 * 3600 * 1000;
  /// Channel patterns with `*`, and with `{name}`; empty: none.
  std::string pubsub_in = {};
  std::string pubsub_out = {};
  /// Of which this node is one; empty: it is alone.
  std::string cluster = {};
};

class redis_streams {
public:
  /// @param session tells who this log is, and when it was first bridged. One that keeps no ledger
  /// is Redis itself: then there is nothing to copy, and pointers only wake.
  /// Errors: those of `store::stream_ledger::remember` and `store::log_store::reader`.
  [[nodiscard]] static model::result<std::unique_ptr<redis_streams>>
  open(const streams_options& how, store::log_store& log, store::log_writer& session,
       environment& env);

  /// Spawns what conversations and their directory tell.
  [[nodiscard]] stream_actors
  start(caf::actor_system& system, const ledger_writer_actor& writer,
        const std::shared_ptr<const std::vector<log_reader_actor>>& readers);
  /// Conversations are found from now on, and pointers are read.
  void join(caf::actor_system& system, const directory_actor& directory);
  /// A planned end is near: what others PUBLISH is left to other nodes, if there are any.
  void hand_over(caf::actor_system& system);
  /// Tells all that were spawned to end; what is not acknowledged comes again.
  void leave();
  /// Waits until they have: one may be waiting for Redis.
  void stop(caf::actor_system& system);

private:
  redis_streams(streams_options how, environment& env) : how_{std::move(how)}, env_{env} {}

  streams_options how_;
  environment& env_;
  /// The mark of this log's own entries and pointers.
  std::string origin_;
  bool wakes_only_ = false;
  /// In role log, if entries are published from it.
  std::shared_ptr<store::log_reader> spoken_log_;
  std::int64_t since_ms_ = 0;
  std::int64_t mirror_since_ms_ = 0;
  void start_channels(caf::actor_system& system);
  template <class Actor>
  void spawned(const Actor& x) {
    spawned_.push_back(caf::actor_cast<caf::actor>(x));
  }

  stream_actors streams_;
  std::vector<caf::actor> spawned_;
};

} // namespace confab::actors
