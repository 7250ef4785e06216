// The one table of options: name, place, unit, bounds, meaning.
#include "config.hpp"

#include "store/lease_source.hpp"

#include <array>

namespace confab {

namespace {

constexpr std::uint64_t hour_ms = 3'600'000;
constexpr std::uint64_t ten_years_s = 315'360'000;
constexpr std::uint64_t mib = 1024 * 1024;

template <auto Group, auto Member>
field at(config& values) {
  return &(values.*Group.*Member);
}

template <auto Member>
constexpr auto in_net = at<&config::net, Member>;
template <auto Member>
constexpr auto in_store = at<&config::store, Member>;
template <auto Member>
constexpr auto in_redis = at<&config::redis, Member>;
template <auto Member>
constexpr auto in_cluster = at<&config::cluster, Member>;
template <auto Member>
constexpr auto in_log = at<&config::log, Member>;

using ng = config::net_group;
using sg = config::store_group;
using rg = config::redis_group;
using cg = config::cluster_group;
using lg = config::log_group;

// clang-format off
constexpr std::array table{
  option{"net.address", in_net<&ng::address>, "", 1, 64,
         "IP address to listen on; other than loopback only with net.insecure."},
  option{"net.port", in_net<&ng::port>, "", 0, 65'535,
         "TCP port to listen on; 0 picks a free one."},
  option{"net.threads", in_net<&ng::threads>, "threads", 0, 256,
         "I/O threads; 0 takes one per CPU that the process may use."},
  option{"net.sndbuf_bytes", in_net<&ng::sndbuf_bytes>, "bytes", 4'096, 16 * mib,
         "Kernel send buffer of each socket."},
  option{"net.ring_entries", in_net<&ng::ring_entries>, "entries", 1, 65'536,
         "Newest entries of a conversation kept in memory, per conversation and I/O thread."},
  option{"net.ring_bytes", in_net<&ng::ring_bytes>, "bytes", 4'096, 1'024 * mib,
         "Bound of the same in bytes."},
  option{"net.cache_bytes", in_net<&ng::cache_bytes>, "bytes", mib, 1'048'576 * mib,
         "Memory for all rings, pages and encoded frames of the process."},
  option{"net.drain_ms", in_net<&ng::drain_ms>, "ms", 0, hour_ms,
         "Longest time from SIGTERM to the end of the process."},
  option{"net.publish_deadline_ms", in_net<&ng::publish_deadline_ms>, "ms", 1, hour_ms,
         "A publish without an outcome for so long is answered with append_unknown."},
  option{"net.frame_bytes", in_net<&ng::frame_bytes>, "bytes", 1'024, 64 * mib,
         "Largest frame or HTTP body that a client may send."},
  // A page must be able to hold any entry.
  option{"net.payload_bytes", in_net<&ng::payload_bytes>, "bytes", 1, model::page_bytes_max,
         "Largest payload of an entry."},
  option{"net.connections", in_net<&ng::connections>, "connections", 1, 10'000'000,
         "Open connections; further ones are refused."},
  option{"net.connections_per_address", in_net<&ng::connections_per_address>, "connections", 0, 10'000'000,
         "Open connections from one IP address; 0 sets no limit."},
  option{"net.subscriptions", in_net<&ng::subscriptions>, "subscriptions", 1, 65'536,
         "Conversations that one connection may follow."},
  option{"net.heartbeat_ms", in_net<&ng::heartbeat_ms>, "ms", 1, hour_ms,
         "Time between two heartbeats to a client."},
  option{"net.idle_ms", in_net<&ng::idle_ms>, "ms", 1, 24 * hour_ms,
         "A connection that was silent for so long, pongs included, is dead; more than net.heartbeat_ms."},
  option{"net.handshake_ms", in_net<&ng::handshake_ms>, "ms", 1, hour_ms,
         "Time in which a client must have sent a whole request."},
  option{"net.origins", in_net<&ng::origins>, "", 0, 65'536,
         "Origins besides the server's own whose pages browsers may connect from, split by commas; * allows all."},
  option{"net.insecure", in_net<&ng::insecure>, "", 0, 0,
         "Allows an address other than loopback, although nobody has to prove who they are."},
  option{"store.directory", in_store<&sg::directory>, "", 1, 4'096,
         "Directory of the log; :memory: keeps it in memory, so that it ends with the process."},
  option{"store.synchronous", in_store<&sg::synchronous>, "full|normal|off", 0, 0,
         "A receipt survives a power cut with full, a crash of the process with normal and off; after a power "
         "cut, off may leave a damaged log."},
  option{"store.gather_us", in_store<&sg::gather_us>, "us", 0, 1'000'000,
         "Under load, longest wait for more appends before a commit."},
  option{"store.producer_ttl_s", in_store<&sg::producer_ttl_s>, "s", 1, ten_years_s,
         "How long a retried publish is recognised after its producer's last entry."},
  option{"store.cursor_ttl_s", in_store<&sg::cursor_ttl_s>, "s", 1, ten_years_s,
         "How long a client's saved position is kept after it last moved."},
  option{"store.retention", in_store<&sg::retention>, "", 0, 65'536,
         "Rules pattern max_age max_entries max_bytes, split by commas, as in room:* 30d - 64MiB; - is no limit."},
  option{"store.passivate_ms", in_store<&sg::passivate_ms>, "ms", 1, 24 * hour_ms,
         "A conversation that nobody used for so long leaves the memory."},
  option{"store.readers", in_store<&sg::readers>, "threads", 1, 64,
         "Threads that read the log."},
  option{"redis.address", in_redis<&rg::address>, "", 0, 512,
         "Redis 7.0 or newer, or Valkey: host:port, or the path of a Unix socket; empty: none."},
  option{"redis.role", in_redis<&rg::role>, "bridge|log", 0, 0,
         "With bridge, SQLite holds the log and entries come from Redis and go there; with log, Redis holds it."},
  option{"redis.group", in_redis<&rg::group>, "", 1, 128,
         "Consumer group on stream:fanout:all-conversations."},
  option{"redis.import", in_redis<&rg::import>, "all|new", 0, 0,
         "What is taken of a stream that is met for the first time: all that it holds, or what is added from then on."},
  option{"redis.reconcile_ms", in_redis<&rg::reconcile_ms>, "ms", 10, hour_ms,
         "How often a conversation with subscribers looks after its stream, whether a pointer came or not."},
  option{"redis.maxlen", in_redis<&rg::maxlen>, "entries", 0, 1'000'000'000'000,
         "Streams are trimmed to about so many entries when Confab appends; 0 does not trim."},
  option{"redis.fanout_ms", in_redis<&rg::fanout_ms>, "ms", 0, 365 * 24 * hour_ms,
         "Pointers that are older, and acknowledged by all groups, are removed from the fan-out stream; 0 keeps them."},
  option{"redis.claim_ms", in_redis<&rg::claim_ms>, "ms", 100, hour_ms,
         "A consumer of the group that has kept a pointer for so long is dead: another one takes it over."},
  option{"redis.gone_ms", in_redis<&rg::gone_ms>, "ms", 1'000, 365 * 24 * hour_ms,
         "A consumer of the group that has no pointer and has done nothing for so long is removed from it."},
  option{"redis.pubsub_in", in_redis<&rg::pubsub_in>, "", 0, 256,
         "Channels whose messages are appended, * standing for the conversation: chat:stream:*; empty: none."},
  option{"redis.pubsub_out", in_redis<&rg::pubsub_out>, "", 0, 256,
         "Channel on which each entry is published, {name} standing for the conversation; empty: none."},
  option{"redis.user", in_redis<&rg::user>, "", 0, 256,
         "ACL user; empty: the default one."},
  option{"redis.password_file", in_redis<&rg::password_file>, "", 0, 4'096,
         "File whose first line is the password; empty: none is sent."},
  option{"redis.database", in_redis<&rg::database>, "", 0, 65'535,
         "Number of the database."},
  option{"redis.connect_ms", in_redis<&rg::connect_ms>, "ms", 1, hour_ms,
         "Longest wait for a connection."},
  option{"redis.command_ms", in_redis<&rg::command_ms>, "ms", 1, hour_ms,
         "Longest wait for a reply; then the outcome is unknown, and the connection is opened anew."},
  option{"redis.reconnect_ms", in_redis<&rg::reconnect_ms>, "ms", 50, hour_ms,
         "Longest pause between two attempts to connect; they begin at 50 ms and double, with jitter."},
  option{"redis.reply_bytes", in_redis<&rg::reply_bytes>, "bytes", mib, 1'024 * mib,
         "Largest reply that is read from Redis; a larger one ends its connection."},
  option{"cluster.name", in_cluster<&cg::name>, "", 1, 64,
         "Name of the cluster; nodes of another name in the same Redis are left out."},
  option{"cluster.address", in_cluster<&cg::address>, "", 1, 64,
         "IP address to listen on for other nodes; other than loopback only with certificates."},
  option{"cluster.port", in_cluster<&cg::port>, "", 0, 65'535,
         "TCP port to listen on for other nodes, with redis.role = log; 0: a node alone."},
  option{"cluster.advertise", in_cluster<&cg::advertise>, "", 0, 255,
         "Address or name of this machine that other nodes connect to; empty: cluster.address."},
  option{"cluster.lease_ms", in_cluster<&cg::lease_ms>, "ms", 500, static_cast<std::uint64_t>(store::lease_ms_max),
         "A node that could not renew its lease in Redis for so long is home of no conversation, and the others take over."},
  option{"cluster.heartbeat_ms", in_cluster<&cg::heartbeat_ms>, "ms", 50, 60'000,
         "Time between two heartbeats to another node, the same on all; one that was silent for three of them is dead."},
  option{"cluster.window_bytes", in_cluster<&cg::window_bytes>, "bytes", 65'536, 1'024 * mib,
         "Entries on their way to another node that it has not acknowledged; what is beyond, it reads from the log."},
  option{"cluster.certificate", in_cluster<&cg::certificate>, "", 0, 4'096,
         "PEM file with the certificate that this node shows to others; with cluster.key and cluster.ca."},
  option{"cluster.key", in_cluster<&cg::key>, "", 0, 4'096,
         "PEM file with the private key of that certificate."},
  option{"cluster.ca", in_cluster<&cg::ca>, "", 0, 4'096,
         "PEM file with the certificates of those who sign nodes' certificates: whoever has one of theirs is a peer."},
  option{"log.level", in_log<&lg::level>, "trace|debug|info|warn|error", 0, 0,
         "Least severe log line that is written to stderr."},
  option{"log.format", in_log<&lg::format>, "text|json", 0, 0,
         "Form of a log line."},
};
// clang-format on

} // namespace

std::span<const option> options() noexcept {
  return table;
}

} // namespace confab
