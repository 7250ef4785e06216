// What event streams have in common: a head, entries until the connection or the conversation ends,
// then the end of the connection.
#pragma once

#include "net/socket_member.hpp"

#include <array>

namespace confab::net {

/// Its answer has no length: it ends with the connection. A broken stream is resumed by id, so
/// nothing is gained by chunks.
class streaming_session : public socket_member {
public:
  streaming_session(tcp_socket socket, io_thread& thread, admission place)
    : socket_member{std::move(socket), thread, std::move(place)} {}

  /// @param fields header lines that its answer has besides the usual ones.
  void start(subscribe_command x, std::string fields);

  void take(event& x) override;
  void failed(model::follower& x, const model::error& why) override;
  std::int64_t due(std::int64_t now_ms) override;
  void drain(std::int64_t reconnect_ms) override;

protected:
  /// Answers and follows, or refuses, or ends.
  virtual void begin(const subscribed_event& e) = 0;
  /// It cannot go on, and has begun.
  virtual void say_failed(const model::error& why) = 0;
  virtual void say_drained(std::int64_t /*reconnect_ms*/) {}
  /// How long it lasts at most; 0: for ever.
  [[nodiscard]] virtual std::int64_t lasts_ms() const { return 0; }

  /// The whole head of the answer, and what the reader gets first.
  void post_begin(std::string_view cache, std::string_view fields, std::string_view first);
  void post_empty(unsigned status);
  void refuse(const model::error& why, std::string_view fields = {});
  /// No more entries; the connection ends when everything has left.
  void end();

  void flushed() override;

  model::follower* follower_ = nullptr;

private:
  void listen();

  std::array<char, 64> ignored_;
  std::string fields_;
  std::int64_t began_ms_ = 0;
  std::int64_t ending_ms_ = 0;
};

} // namespace confab::net
