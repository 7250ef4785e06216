// A real redis-server in a scratch directory, which tests start, kill and start again.
#pragma once

#include "store/redis_connection.hpp"
#include "store/store_bed.hpp"

#include <string>
#include <sys/types.h>
#include <vector>

namespace confab::test {

/// Listens on a Unix socket alone. Its data outlives a kill as far as its own settings say.
class redis_server {
public:
  /// @param settings further lines of its configuration, such as `appendonly yes`.
  explicit redis_server(std::vector<std::string> settings = {});
  ~redis_server();
  redis_server(const redis_server&) = delete;
  redis_server& operator=(const redis_server&) = delete;

  /// Returns when it answers.
  void start();
  /// kill -9.
  void kill();
  /// SIGSTOP, SIGCONT.
  void pause();
  void go_on();

  [[nodiscard]] store::redis_options options() const;
  /// As any client would, over a connection of its own; the reply is no error.
  store::redis_reply ask(const std::vector<std::string>& words);

private:
  scratch_directory scratch_;
  std::vector<std::string> settings_;
  pid_t pid_ = 0;
};

} // namespace confab::test
