#include "serve.hpp"

#include "actors/cluster_options.hpp"
#include "actors/node.hpp"
#include "actors/stream_copies.hpp"
#include "model/placement.hpp"
#include "net/server.hpp"
#include "net/wire/json_object.hpp"
#include "store/redis_connection.hpp"
#include "store/redis_store.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <random>
#include <sched.h>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

namespace confab {

namespace {

/// The text of a log line as a JSON string.
class json_text final : public spdlog::custom_flag_formatter {
public:
  void format(const spdlog::details::log_msg& x, const std::tm&,
              spdlog::memory_buf_t& to) override {
    std::string quoted;
    net::wire::add_string(quoted, {x.payload.data(), x.payload.size()});
    to.append(quoted.data(), quoted.data() + quoted.size());
  }
  [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<json_text>();
  }
};

void start_log(const config::log_group& x) {
  auto logger = spdlog::stderr_logger_mt("confab");
  spdlog::set_default_logger(logger);
  static constexpr spdlog::level::level_enum levels[] = {spdlog::level::trace, spdlog::level::debug,
                                                         spdlog::level::info, spdlog::level::warn,
                                                         spdlog::level::err};
  spdlog::set_level(levels[static_cast<std::size_t>(x.level)]);
  if (x.format == log_format::text)
    return spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e %l %v");
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<json_text>('*').set_pattern(
      R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l","text":%*})");
  spdlog::set_formatter(std::move(formatter));
}

std::size_t cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0)
    return 1;
  return static_cast<std::size_t>(std::max(1, CPU_COUNT(&set)));
}

/// Every connection is a file descriptor; the usual soft limit is 1024.
void raise_descriptor_limit() {
  rlimit x{};
  if (::getrlimit(RLIMIT_NOFILE, &x) != 0)
    return;
  x.rlim_cur = x.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &x) != 0)
    spdlog::warn("the limit of open files stays at {}", x.rlim_cur);
}

/// 64 bits: two nodes of the same one would take each other's publishes for retries.
std::string random_incarnation() {
  std::random_device random;
  char text[20];
  std::snprintf(text, sizeof text, "%08x%08x", random(), random());
  return text;
}

std::int64_t wall_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

net::session_limits session_limits_of(const config::net_group& x) {
  net::session_limits result;
  result.frame_bytes = x.frame_bytes;
  result.wire.payload_bytes = x.payload_bytes;
  result.heartbeat_ms = static_cast<std::int64_t>(x.heartbeat_ms);
  result.idle_ms = static_cast<std::int64_t>(x.idle_ms);
  result.handshake_ms = static_cast<std::int64_t>(x.handshake_ms);
  result.sndbuf_bytes = static_cast<int>(x.sndbuf_bytes);
  for (auto each : split(x.origins, ','))
    if (!each.empty())
      result.origins.emplace_back(each);
  return result;
}

/// Whether Redis, if one is configured, can be used. One that does not answer now may do so later.
bool check_redis(const config::redis_group& x) {
  if (x.address.empty())
    return true;
  auto how = redis_options_of(x);
  if (!how) {
    spdlog::critical("{}", how.why().detail);
    return false;
  }
  store::redis_connection redis{*how};
  auto there = redis.connect();
  if (there)
    spdlog::info("redis: {} at {}", redis.facts().version, x.address);
  else if (there.why().what == model::code::unsupported)
    spdlog::critical("redis.address: {}", there.why().detail);
  else
    spdlog::warn("redis.address: {}", there.why().detail);
  return there || there.why().what != model::code::unsupported;
}

/// @param incarnation marks what this process adds to Redis.
model::result<std::unique_ptr<store::log_store>>
open_log(const config& values, const std::vector<model::retention_rule>& retention,
         const std::string& incarnation) {
  auto producer_ttl_s = static_cast<std::int64_t>(values.store.producer_ttl_s);
  auto cursor_ttl_s = static_cast<std::int64_t>(values.store.cursor_ttl_s);
  if (values.redis.role == redis_role::bridge)
    return store::open({.directory = values.store.directory,
                        .synchronous = values.store.synchronous,
                        .producer_ttl_s = producer_ttl_s,
                        .cursor_ttl_s = cursor_ttl_s,
                        .retention = retention,
                        .vfs = {}});
  auto redis = redis_options_of(values.redis);
  if (!redis)
    return redis.why();
  return store::open_redis({.redis = *redis,
                            .import_all = values.redis.import == redis_import::all,
                            .maxlen = values.redis.maxlen,
                            .producer_ttl_s = producer_ttl_s,
                            .cursor_ttl_s = cursor_ttl_s,
                            .retention = retention,
                            .origin = incarnation,
                            .read = actors::copy_of});
}

/// How streams of Redis are copied and mirrored, or only listened to, if there is Redis. Errors: as
/// `redis_options_of`.
model::result<std::optional<actors::streams_options>> streams_of(const config& values) {
  using maybe = std::optional<actors::streams_options>;
  const auto& x = values.redis;
  if (x.address.empty())
    return maybe{};
  auto how = redis_options_of(x);
  if (!how)
    return how.why();
  return maybe{{.redis = std::move(*how),
                .group = x.group,
                .import_all = x.import == redis_import::all,
                .reconcile_ms = static_cast<std::int64_t>(x.reconcile_ms),
                .maxlen = x.maxlen,
                .fanout_ms = static_cast<std::int64_t>(x.fanout_ms),
                .claim_ms = static_cast<std::int64_t>(x.claim_ms),
                .gone_ms = static_cast<std::int64_t>(x.gone_ms),
                .pubsub_in = x.pubsub_in,
                .pubsub_out = x.pubsub_out,
                .cluster = values.cluster.port == 0 ? "" : values.cluster.name}};
}

/// How this node is one of several; nothing: it is alone. Errors: as `redis_options_of`.
model::result<std::optional<actors::cluster_options>> cluster_of(const config& values) {
  using maybe = std::optional<actors::cluster_options>;
  const auto& x = values.cluster;
  if (x.port == 0)
    return maybe{};
  auto redis = redis_options_of(values.redis);
  if (!redis)
    return redis.why();
  auto advertised = x.advertise.empty() ? x.address : x.advertise;
  // Where clients come to; an address that stands for all is nowhere to come to.
  const auto& net = values.net;
  auto clients = net.address == "0.0.0.0" || net.address == "::" ? advertised : net.address;
  return maybe{{.redis = std::move(*redis),
                .name = x.name,
                .address = x.address,
                .port = x.port,
                .advertise = std::move(advertised),
                .lease_ms = static_cast<std::int64_t>(x.lease_ms),
                .heartbeat_ms = static_cast<std::int64_t>(x.heartbeat_ms),
                .window_bytes = x.window_bytes,
                .certificate = x.certificate,
                .key = x.key,
                .ca = x.ca,
                .client_url = net.port == 0 ? "" : "http://" + model::endpoint(clients, net.port)}};
}

/// Between two times that clients are sent away from a node that cannot serve them: some come back.
constexpr std::chrono::seconds send_away_period{10};
/// For the last commits, when the clients have used up the time of the drain.
constexpr std::chrono::seconds last_commits{2};

/// Waits for SIGTERM or SIGINT, at most until `deadline`. @returns whether one came.
bool signalled(const sigset_t& signals, std::chrono::milliseconds at_most) {
  auto ms = at_most.count();
  timespec wait{ms / 1000, (ms % 1000) * 1'000'000};
  return ::sigtimedwait(&signals, nullptr, &wait) > 0;
}

} // namespace

int serve(const config& values) {
  start_log(values.log);
  raise_descriptor_limit();
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  // Before any thread starts, so that all inherit it: this thread takes them.
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);

  auto retention = model::parse_retention(values.store.retention);
  if (!retention) {
    spdlog::critical("store.retention: {}", retention.why().detail);
    return 2;
  }
  if (!check_redis(values.redis))
    return 1;
  auto incarnation = random_incarnation();
  auto opened = open_log(values, *retention, incarnation);
  if (!opened) {
    spdlog::critical("{}", opened.why().detail);
    return 1;
  }
  auto& log = **opened;
  spdlog::info("log: {}", log.description());

  model::byte_budget cache{values.net.cache_bytes};
  actors::environment env{
      {.passivate_ms = static_cast<std::int64_t>(values.store.passivate_ms),
       .publish_deadline_ms = static_cast<std::int64_t>(values.net.publish_deadline_ms),
       .gather_us = static_cast<std::int64_t>(values.store.gather_us),
       .subscriptions = values.net.subscriptions,
       .reconcile_ms = values.redis.role == redis_role::log
                           ? static_cast<std::int64_t>(values.redis.reconcile_ms)
                           : 0},
      cache,
      std::move(incarnation)};
  env.wall_ms = wall_ms;
  env.pause = [](std::chrono::microseconds x) { std::this_thread::sleep_for(x); };
  auto streams = streams_of(values);
  if (!streams) {
    spdlog::critical("{}", streams.why().detail);
    return 1;
  }
  auto cluster = cluster_of(values);
  if (!cluster) {
    spdlog::critical("{}", cluster.why().detail);
    return 1;
  }
  if (*cluster)
    spdlog::info("cluster: {}, other nodes come to {}", (*cluster)->name,
                 model::endpoint((*cluster)->advertise, (*cluster)->port));
  actors::node node{log, env, *cluster};
  net::pages pages{node, cache};
  net::server_context shared{.backend = node,
                             .pages = pages,
                             .hub = {.ring = {values.net.ring_entries, values.net.ring_bytes}},
                             .limits = session_limits_of(values.net),
                             .gate{values.net.connections, values.net.connections_per_address}};
  if (auto started = node.start(pages, values.store.readers, *streams); !started) {
    spdlog::critical("{}", started.why().detail);
    return 1;
  }
  net::server server{shared, values.net.threads == 0 ? cpus() : values.net.threads};
  auto port = server.listen(values.net.address, values.net.port);
  if (!port) {
    spdlog::critical("{}", port.why().detail);
    return 1;
  }
  std::printf("listening on http://%s\n", model::endpoint(values.net.address, *port).c_str());
  std::fflush(stdout);

  auto drain = std::chrono::milliseconds{values.net.drain_ms};
  // Clients come back to the next process, or to another one, over a time that grows with the
  // drain.
  auto spread = 2 * drain;
  std::chrono::steady_clock::time_point sent_away{};
  while (!signalled(signals, std::chrono::seconds{1})) {
    auto now = std::chrono::steady_clock::now();
    if (!env.others_serve || server.connections() == 0 || now - sent_away < send_away_period)
      continue;
    sent_away = now;
    spdlog::warn("this node has no lease and others have: {} connections are sent there",
                 server.connections());
    server.send_away(spread);
  }
  spdlog::info("draining {} connections for at most {} ms; a second signal ends at once",
               server.connections(), drain.count());
  auto deadline = std::chrono::steady_clock::now() + drain;
  node.leave();
  server.drain(spread);
  while (server.connections() > 0 && std::chrono::steady_clock::now() < deadline)
    if (signalled(signals, std::chrono::milliseconds{20})) {
      spdlog::warn("ended by a second signal");
      spdlog::default_logger()->flush();
      ::_exit(1);
    }
  // A disk that hangs must not keep the process: what is acknowledged is in the log either way.
  auto patience = std::max(deadline, std::chrono::steady_clock::now() + last_commits);
  std::atomic<bool> done{false};
  std::thread watch{[&] {
    while (!done) {
      auto second = signalled(signals, std::chrono::milliseconds{20});
      if (!second && std::chrono::steady_clock::now() < patience)
        continue;
      spdlog::error(second ? "ended by a second signal" : "the log did not stop in time; ended");
      spdlog::default_logger()->flush();
      ::_exit(1);
    }
  }};
  server.stop();
  node.stop();
  done = true;
  watch.join();
  if (auto closed = log.close(); !closed) {
    spdlog::error("{}", closed.why().detail);
    return 1;
  }
  spdlog::info("stopped");
  return 0;
}

} // namespace confab
