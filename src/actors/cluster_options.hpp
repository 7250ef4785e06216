// What makes a node one of several: where it listens for the others, and how it talks to them.
#pragma once

#include "store/redis_address.hpp"

#include <cstdint>
#include <string>

namespace confab::actors {

/// `config.hpp` has the meanings and the bounds.
struct cluster_options {
  /// Where the leases are; the log's.
  store::redis_options redis;
  std::string name;
  std::string address;
  /// Not 0.
  std::uint16_t port = 0;
  /// What other nodes connect to: never empty.
  std::string advertise;
  std::int64_t lease_ms = 5'000;
  std::int64_t heartbeat_ms = 500;
  std::size_t window_bytes = 4 * 1024 * 1024;
  /// Files; all three or none.
  std::string certificate = {};
  std::string key = {};
  std::string ca = {};
  /// For people; empty while the port is not known.
  std::string client_url = {};
};

} // namespace confab::actors
