// One load client's connection: a socket, its dialect, and what it tells its actor.
#pragma once

#include "net/load/load_board.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace confab::net::load {

class load_thread;

/// What a socket tells its client's actor. No message per entry.
struct load_event {
  enum class what : std::uint8_t {
    opened,   ///< publishers: may publish
    live,     ///< readers: the replay is over
    lost,     ///< the connection is gone, or never came to be; `why` says why
    finished, ///< publishers: everything that was due is sent and answered
    given_up, ///< publishers: a publish was refused for good; `why` says why
  };
  what is = what::lost;
  std::string why;
};

/// A client's actor as its socket knows it.
class load_port {
public:
  virtual ~load_port() = default;
  /// From the load thread.
  virtual void tell(load_event x) = 0;
};

struct socket_settings {
  purpose what;
  /// Index of the reader's conversation, or the publisher's first one.
  std::uint32_t conversation = 0;
  /// Publishers: how many conversations from there on take turns.
  std::uint32_t conversations = 1;
  /// Publishers: as stamps name it; unique in the run.
  std::uint32_t publisher = 0;
  /// Publishers: bytes of JSON text.
  std::size_t payload_bytes = 0;
  /// Readers: their latencies count.
  bool timed = true;
  /// SO_RCVBUF; 0: the system's.
  int receive_bytes = 0;
};

/// Lives in one load thread, which alone touches it, until that thread has stopped.
class load_socket : protected dialect_events {
public:
  load_socket(load_thread& home, std::uint32_t number, socket_settings how,
              std::unique_ptr<load_port> port);
  ~load_socket() override;
  load_socket(const load_socket&) = delete;
  load_socket& operator=(const load_socket&) = delete;

  /// Connects; what came before is forgotten, save for where a reader was.
  void open();
  /// Ends the connection; nothing is told. @param abrupt as when the network is gone: what is under
  /// way is lost.
  void drop(bool abrupt);
  /// Stops or goes on reading.
  void pause(bool paused);

  /// Epoll has something.
  void ready(std::uint32_t events, std::uint32_t generation);
  /// A time that was asked for has come.
  virtual void due(std::int64_t /*now_ns*/) {}

  [[nodiscard]] bool connected() const noexcept { return fd_ >= 0; }
  [[nodiscard]] const socket_settings& settings() const noexcept { return how_; }

protected:
  /// What follows once the connection is set up anew; fills in `what.after`.
  virtual void prepare(purpose&) {}
  /// The bytes of one read are taken.
  virtual void taken() {}
  /// What had to wait has been sent.
  virtual void drained() {}
  virtual void disconnected() {}

  /// Sends what is in `out`.
  void flush();
  void tell(load_event::what what, std::string why = {});
  void server_version(std::string_view text) override;
  void ended(std::string_view why) override;

  load_thread& home_;
  load_board& board_;
  const std::uint32_t number_;
  socket_settings how_;
  std::unique_ptr<dialect> dialect_;
  std::string out_;

private:
  [[nodiscard]] bool create();
  void watch();
  void connected_or_not();
  void read();
  void fail(std::string why);
  void close(bool abrupt);

  std::unique_ptr<load_port> port_;
  /// What came and was not complete.
  std::string rest_;
  int fd_ = -1;
  /// Tells events of a closed connection from those of its successor.
  std::uint32_t generation_ = 0;
  /// What epoll was told; nothing: it does not know this connection yet.
  std::optional<std::uint32_t> watched_;
  bool connecting_ = false;
  bool paused_ = false;
  bool blocked_ = false;
};

} // namespace confab::net::load
