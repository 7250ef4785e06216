// A blocking connection to one Redis: pipelines, scripts, deadlines, and coming back after a loss.
//
// What an error means:
//  `store_failed`    nothing of it was executed: no connection, or Redis refused it (its detail
//                    names the command).
//  `append_unknown`  it was sent, and no whole reply came: it may have been executed, or may still
//                    be. The connection is closed then; the next call opens a new one.
// A server that says it is a replica is left, too: the address may lead to another one by now.
// No detail has an argument, a payload or a password in it.
#pragma once

#include "store/redis_address.hpp"
#include "store/redis_reply.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>

namespace confab::store {

/// A Lua script. Its text lives as long as the process.
struct redis_script {
  /// For errors.
  std::string_view name;
  std::string_view text;
};

/// One call of a script.
struct redis_call {
  std::vector<std::string> keys;
  std::vector<std::string> arguments;
};

/// What the server said of itself when the connection was opened.
struct redis_facts {
  std::string version;
  /// Another one after each restart of Redis.
  std::string run_id;
};

/// Used by one thread at a time.
class redis_connection {
public:
  explicit redis_connection(redis_options how);
  ~redis_connection();
  redis_connection(const redis_connection&) = delete;
  redis_connection& operator=(const redis_connection&) = delete;

  /// Connects unless connected, and asks who answers: 7.0 or newer, no Redis Cluster, no Sentinel.
  /// Behind a failure, tries are refused (with its reason) until the backoff's wait is over, or
  /// another connection got through; every call below connects likewise. Errors: `store_failed`; `unsupported`: what answers is another
  /// kind of Redis.
  [[nodiscard]] model::status connect();
  [[nodiscard]] bool connected() const noexcept;
  /// Milliseconds until `connect` tries again; 0: it would now.
  [[nodiscard]] std::int64_t retry_in_ms() const;
  void disconnect() noexcept;
  /// @pre has been connected.
  [[nodiscard]] const redis_facts& facts() const noexcept { return facts_; }

  /// One command and its reply, which is not an error reply.
  /// @param wait_ms how long the command itself may block.
  [[nodiscard]] model::result<redis_reply> send(const redis_command& x, std::int64_t wait_ms = 0);
  /// Sends all in one go, then reads a reply for each. Error replies stand among them: whoever
  /// reads a reply checks it.
  [[nodiscard]] model::result<std::vector<redis_reply>> send_all(std::span<const redis_command> all,
                                                                 std::int64_t wait_ms = 0);
  /// Calls a script once for each, likewise; loads it where Redis does not know it (any more).
  [[nodiscard]] model::result<std::vector<redis_reply>> call_all(const redis_script& script,
                                                                 std::span<const redis_call> all);
  /// Waits for a reply that nobody asked for, such as a published message; nothing when none came.
  [[nodiscard]] model::result<std::optional<redis_reply>> receive(std::int64_t wait_ms);

private:
  struct socket;

  [[nodiscard]] model::status open();
  [[nodiscard]] model::status greet();
  /// Notices what happened while nobody looked: the peer has closed.
  [[nodiscard]] bool stale() const noexcept;
  [[nodiscard]] model::result<std::vector<redis_reply>> exchange(std::span<const redis_command> all,
                                                                 std::int64_t reply_ms);
  [[nodiscard]] model::status write(std::string_view bytes, std::int64_t ms);
  [[nodiscard]] model::result<std::optional<redis_reply>> read(std::int64_t ms);
  [[nodiscard]] model::result<std::string> load(const redis_script& script);
  [[nodiscard]] model::error lost(model::code what, std::string why);

  redis_options how_;
  std::unique_ptr<socket> socket_;
  redis_facts facts_;
  /// By the script's text.
  std::unordered_map<const char*, std::string> sha_by_script_;
  model::backoff backoff_;
  std::chrono::steady_clock::time_point next_try_{};
  std::optional<model::error> last_failure_;
  /// As `redis_reach` counted then.
  std::uint64_t others_connected_ = 0;
};

} // namespace confab::store
