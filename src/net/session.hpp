// What a hub knows of a client: a session, and a member that has an outlet to be flushed.
#pragma once

#include "model/outlet.hpp"
#include "net/client.hpp"

namespace confab::net {

/// One client's connection as its I/O thread sees it. That thread only.
class session : public std::enable_shared_from_this<session> {
public:
  virtual ~session() = default;

  virtual void take(event& x) = 0;
  /// Time has come to look after heartbeats and deadlines.
  /// @returns when to look again, on the hub's clock; 0: never.
  virtual std::int64_t due(std::int64_t now_ms) = 0;
  /// Clients are to go elsewhere, or to come back later: say goodbye when what was asked is answered.
  virtual void drain(std::int64_t reconnect_ms) = 0;
  /// Ends now.
  virtual void cut() = 0;

  std::uint64_t id = 0;
};

/// What one attempt to send did.
struct send_outcome {
  enum class kind : std::uint8_t { sent, blocked, failed } what = kind::sent;
  std::size_t bytes = 0;
};

/// A session that follows conversations through an outlet.
class member : public session, public model::outlet {
public:
  explicit member(net::hub& owner) : hub_{owner} {}
  ~member() override;

  /// Sends what is due; cheap when blocked.
  void flush();

  /// Starts, or replaces, the subscription to a conversation.
  model::follower& follow(const subscribed_event& x, const model::wire_format& format);
  void unfollow(const model::conversation_name& name);
  [[nodiscard]] model::follower* find(const model::conversation_name& name) const noexcept;

  /// A subscription that cannot go on: its pages cannot be read.
  virtual void failed(model::follower& x, const model::error& why) = 0;

protected:
  /// One non-blocking attempt.
  virtual send_outcome send(std::span<const model::gathering::piece> pieces) = 0;
  /// Calls `writable` once the socket takes more.
  virtual void wait_writable() = 0;
  /// Before a flush, while `watch_flushes_`: whatever is due is posted now. Must not end the
  /// session.
  virtual void turn() {}
  /// After a flush, while `watch_flushes_`: control frames may have left, the backlog may have
  /// shrunk.
  virtual void flushed() {}

  void writable();
  void unfollow_all();
  /// The client is told of this error.
  void count(const model::error& why) noexcept;
  [[nodiscard]] net::hub& owner() const noexcept { return hub_; }
  [[nodiscard]] bool blocked() const noexcept { return blocked_; }

  bool cut_ = false;
  /// Off for an idle reader: then a flush touches nothing beyond the outlet.
  bool watch_flushes_ = true;

private:
  friend class hub;

  net::hub& hub_;
  std::vector<std::unique_ptr<model::follower>> followers_;
  bool blocked_ = false;
  bool touched_ = false;
};

} // namespace confab::net
