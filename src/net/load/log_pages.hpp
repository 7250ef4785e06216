// Reads Confab's log over HTTP, page by page, as any client could: what the readers got is compared
// with it.
#pragma once

#include "net/load/load_board.hpp"

#include <functional>
#include <string>
#include <string_view>

namespace confab::net::load {

/// Blocks its thread; one connection that is kept.
class log_pages {
public:
  static constexpr std::size_t page_entries = 1000;
  static constexpr std::size_t answer_bytes_max = 64 * 1024 * 1024;

  /// @param patience_s no answer takes longer.
  log_pages(const endpoint& to, double patience_s) : to_{to}, patience_s_{patience_s} {}
  ~log_pages();
  log_pages(const log_pages&) = delete;
  log_pages& operator=(const log_pages&) = delete;

  /// Calls `take(seq, payload)` for each entry of the log, oldest first. A conversation that does
  /// not exist is empty.
  /// @returns why it could not be read to its end; empty: it was.
  [[nodiscard]] std::string
  read(std::string_view conversation,
       const std::function<void(std::uint64_t seq, std::string_view payload)>& take);

  /// Whether a connection can be made at all. @returns why not; empty: it can.
  [[nodiscard]] std::string connect();

private:
  struct answer {
    int status = 0;
    std::string body;
  };

  std::string get(const std::string& target, answer& to);
  std::string send_all(std::string_view bytes);
  std::string receive(std::string& into);

  const endpoint to_;
  const double patience_s_;
  int fd_ = -1;
};

} // namespace confab::net::load
