// Every option of the server: one field, one unit, one default, one bound.
#pragma once

#include "store/log_store.hpp"
#include "store/redis_address.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace confab {

/// Who holds the log: SQLite, and Redis is a bridge to others; or Redis.
enum class redis_role : std::uint8_t { bridge, log };
/// What becomes of the entries of a stream that is met for the first time.
enum class redis_import : std::uint8_t { all, only_new };
enum class log_level : std::uint8_t { trace, debug, info, warn, error };
enum class log_format : std::uint8_t { text, json };

/// The options with their defaults. What each one means, and its bounds, stands in
/// option_table.cpp.
struct config {
  struct net_group {
    std::string address = "127.0.0.1";
    std::uint16_t port = 8080;
    std::uint64_t threads = 0;
    std::uint64_t sndbuf_bytes = 128 * 1024;
    std::uint64_t ring_entries = 256;
    std::uint64_t ring_bytes = 1024 * 1024;
    std::uint64_t cache_bytes = 256 * 1024 * 1024;
    std::uint64_t drain_ms = 5'000;
    std::uint64_t publish_deadline_ms = 10'000;
    std::uint64_t frame_bytes = 1024 * 1024;
    std::uint64_t payload_bytes = model::page_bytes_max;
    std::uint64_t connections = 100'000;
    std::uint64_t connections_per_address = 0;
    std::uint64_t subscriptions = 256;
    std::uint64_t heartbeat_ms = 25'000;
    std::uint64_t idle_ms = 75'000;
    std::uint64_t handshake_ms = 10'000;
    /// Split by commas.
    std::string origins;
    bool insecure = false;

    friend bool operator==(const net_group&, const net_group&) = default;
  };

  struct store_group {
    std::string directory = "data";
    store::options::sync synchronous = store::options::sync::full;
    std::uint64_t gather_us = 1'000;
    std::uint64_t producer_ttl_s = 604'800;
    std::uint64_t cursor_ttl_s = 2'592'000;
    /// Valid for `model::parse_retention`.
    std::string retention;
    std::uint64_t passivate_ms = 60'000;
    std::uint64_t readers = 2;

    friend bool operator==(const store_group&, const store_group&) = default;
  };

  struct redis_group {
    /// Empty: no Redis. Else valid for `store::parse_redis_address`.
    std::string address;
    redis_role role = redis_role::bridge;
    std::string group = "confab";
    redis_import import = redis_import::only_new;
    std::uint64_t reconcile_ms = 5'000;
    std::uint64_t maxlen = 0;
    std::uint64_t fanout_ms = 86'400'000;
    std::uint64_t claim_ms = 30'000;
    std::uint64_t gone_ms = 86'400'000;
    std::string pubsub_in;
    std::string pubsub_out;
    std::string user;
    std::string password_file;
    std::uint64_t database = 0;
    std::uint64_t connect_ms = 2'000;
    std::uint64_t command_ms = 5'000;
    std::uint64_t reconnect_ms = 5'000;
    std::uint64_t reply_bytes = 64 * 1024 * 1024;

    friend bool operator==(const redis_group&, const redis_group&) = default;
  };

  struct cluster_group {
    std::string name = "confab";
    std::string address = "127.0.0.1";
    /// 0: a node alone.
    std::uint16_t port = 0;
    std::string advertise;
    std::uint64_t lease_ms = 5'000;
    std::uint64_t heartbeat_ms = 500;
    std::uint64_t window_bytes = 4 * 1024 * 1024;
    /// All three are files, or empty.
    std::string certificate;
    std::string key;
    std::string ca;

    friend bool operator==(const cluster_group&, const cluster_group&) = default;
  };

  struct log_group {
    log_level level = log_level::info;
    log_format format = log_format::text;

    friend bool operator==(const log_group&, const log_group&) = default;
  };

  net_group net;
  store_group store;
  redis_group redis;
  cluster_group cluster;
  log_group log;

  friend bool operator==(const config&, const config&) = default;
};

/// Where a value lives in a `config`.
using field =
    std::variant<std::string*, bool*, std::uint16_t*, std::uint64_t*, store::options::sync*,
                 redis_role*, redis_import*, log_level*, log_format*>;

/// A row of the one table that drives parsing, validation, --help and the test of config.ini.
struct option {
  /// `section.key`.
  std::string_view name;
  field (*at)(config&);
  /// Of a number; of an enumeration its values in order, separated by `|`; else empty.
  std::string_view unit;
  /// Inclusive bounds: of a number its value, of a text its bytes.
  std::uint64_t min;
  std::uint64_t max;
  /// One sentence.
  std::string_view doc;
};

/// How to talk to the Redis that is configured; the password is read from its file. Errors:
/// `store_failed`.
/// @pre `redis.address` is not empty.
[[nodiscard]] model::result<store::redis_options> redis_options_of(const config::redis_group& x);

/// All options, grouped by section.
[[nodiscard]] std::span<const option> options() noexcept;

/// The option's value as config.ini would say it.
[[nodiscard]] std::string value_text(const option& which, config values);

/// What the option takes: `a number from 0 to 65535`, `one of text, json`.
[[nodiscard]] std::string demand(const option& which);

/// One option as a person gave it.
struct setting {
  std::string name;
  std::string value;
  /// How an error about it begins: `config.ini:12: net.port` or `--net.port`.
  std::string where;
};

/// The parts between separators, blanks around each removed; an empty text has one empty part.
[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);

/// Reads INI text: `;` comments, `[section]`, `key = value`, double quotes around a value if
/// wanted.
/// @param errors gets a line per malformed line, unknown section and key that was set before.
[[nodiscard]] std::vector<setting> read_ini(std::string_view text, std::string_view file_name,
                                            std::vector<std::string>& errors);

struct loaded_config {
  config values;
  /// One line per error found; empty: `values` can be used.
  std::vector<std::string> errors;
};

/// Defaults, then the file (none: no file is read), then the command line; each wins over what is
/// before it.
[[nodiscard]] loaded_config load_config(const std::optional<std::filesystem::path>& file,
                                        std::span<const setting> command_line);

} // namespace confab
