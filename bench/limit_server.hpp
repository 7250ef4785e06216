// The bare server: what the machine allows to whoever sends Confab's frames, one `send` per socket
// and entry, and syncs a file once per batch.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace confab::bench {

class limit_server {
public:
  /// Listens on loopback. @param port 0 picks a free one; see `port`. @param log_directory where
  /// entries are written and synced before anybody sees them; empty: they are not.
  limit_server(std::uint16_t port, const std::string& log_directory);
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

  /// Waits at most a second for whatever happens next, and does it.
  void turn();

private:
  struct peer;

  /// Its newest entries, as frames behind each other.
  struct conversation {
    std::string name;
    std::uint64_t dropped = 0; ///< entries that are no longer here
    std::string frames;
    std::vector<std::size_t> ends;
    std::vector<peer*> followers;
    [[nodiscard]] std::uint64_t tail() const { return dropped + ends.size(); }
    void drop_old();
  };

  struct peer {
    int fd = -1;
    bool open = false;
    bool in_answered = false;
    conversation* follows = nullptr;
    std::string in;
    std::string backlog;
    /// Receipts of this turn.
    std::string receipts;
  };

  /// Of this turn; seen by nobody before the log has it.
  struct appended {
    conversation* in;
    std::size_t begin, size;
  };

  void accept_all();
  void read(peer& x);
  std::size_t take(peer& x, std::size_t at);
  std::size_t open(peer& x, std::size_t at);
  void follow(peer& x, std::string_view target);
  bool publish(peer& x, std::string_view text);
  void append(conversation& to, std::string_view producer, std::string_view number,
              std::string_view payload);
  void commit();
  void send(peer& x, std::string_view bytes);
  void flush(peer& x);
  void wait_for(peer& x);
  void hold_back();
  void remove(peer& x);
  conversation& find(std::string_view name);

  int epoll_ = -1;
  int listener_ = -1;
  int log_ = -1;
  std::int64_t log_at_ = 0;
  std::uint16_t port_ = 0;
  std::vector<std::unique_ptr<peer>> peers_;
  std::map<std::string, std::unique_ptr<conversation>, std::less<>> conversations_;
  std::vector<appended> batch_;
  std::vector<peer*> answered_;
  /// Followers whose backlog is full: nobody may publish before they have caught up.
  std::size_t full_ = 0;
  bool any_removed_ = false;
};

/// A file that is written round and round, already written once: one that grows makes each sync
/// wait for the file system's journal, and a write-ahead log overwrites its file as well.
inline constexpr std::int64_t limit_log_bytes = 4 * 1024 * 1024;
/// @returns its descriptor; the file is unlinked.
[[nodiscard]] int open_limit_log(const std::string& directory);
/// Writes and syncs, at `at` or, where it does not fit, at the beginning.
void write_limit_log(int fd, std::int64_t& at, std::string_view bytes);

} // namespace confab::bench
