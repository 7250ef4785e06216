// What one socket sends next: the only writer of its bytes (DESIGN §6). Bytes in, bytes out; no
// socket here.
//
//   rest of the frame in progress, frames for this socket alone | a control frame |
//   entries of the subscriptions that are ready, with their marks (live, reset, closed) in their
//   places
//
// Invariants:
// (1) No frame is interrupted by another one.
// (2) A blocked socket keeps the unsent rest of one frame and its positions; no page, no ring.
// (3) A frame that `post` took leaves before any entry that was not yet gathered then.
#pragma once

#include "model/subscription.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace confab::model {

class outlet;

/// One subscription of one socket.
struct follower {
  follower(std::shared_ptr<feed> source, subscription start, const wire_format& wire, outlet& to)
    : from{std::move(source)}, sub{std::move(start)}, format{&wire}, owner{&to} {}

  std::shared_ptr<feed> from;
  subscription sub;
  const wire_format* format;
  outlet* owner;
  /// In the owner's ready list.
  bool ready = false;
  /// First seq of the page that was asked for and has not come; 0: none.
  seq awaited = {};
  /// Index in the feed's list of followers.
  std::uint32_t place = 0;
  /// Failed page reads in a row.
  std::uint32_t failures = 0;
  /// The owner's number for this subscription.
  std::uint64_t number = 0;
  /// What an open-ended format tells this socket at the end of each frame.
  std::uint64_t token = 0;
};

/// Where pages come from.
class page_source {
public:
  /// A run that holds `at`, or null: then the source will make the follower ready again when it has
  /// one.
  virtual run_ptr page_for(follower& who, seq at) = 0;

protected:
  ~page_source() = default;
};

/// One gathering of an outlet: pieces in the order in which they must leave. Reused from socket to
/// socket.
class gathering {
public:
  struct piece {
    const char* data;
    std::size_t size;
  };
  static constexpr std::size_t pieces_max = 64;
  /// A gathering takes no further frame beyond this, so that sockets which catch up do not keep
  /// live ones waiting.
  static constexpr std::size_t bytes_max = 64 * 1024;

  [[nodiscard]] std::span<const piece> pieces() const noexcept { return pieces_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

private:
  friend class outlet;
  /// An `end` belongs to the frame in the item before it.
  enum class kind : std::uint8_t { own, control, entries, mark, end };
  struct item {
    kind what;
    follower* who = nullptr;
    run_ptr held = nullptr;
    const frames* encoded = nullptr;
    /// First seq of an `entries` item.
    seq from = {};
    /// The subscription once this item has left; null for `own`, `control` and `end`.
    std::optional<subscription> then = std::nullopt;
  };

  void clear();
  void add(item x, std::string_view bytes);
  [[nodiscard]] bool full() const noexcept {
    return pieces_.size() >= pieces_max || bytes_ >= bytes_max;
  }

  std::vector<piece> pieces_;
  std::vector<item> items_;
  std::vector<std::string> marks_;
  std::size_t bytes_ = 0;
};

class outlet {
public:
  outlet() = default;
  outlet(const outlet&) = delete;
  outlet& operator=(const outlet&) = delete;

  /// Queues complete frames for this socket alone; nothing behind a close frame.
  void post(std::string_view frame) {
    if (!closes_)
      own_.append(frame);
  }

  /// Queues a control frame, before entries. A pong that has not begun to leave gives way to a
  /// newer one: only the newest ping needs an answer (RFC 6455 §5.5.3), so pings cost nothing
  /// however many come. A close frame is the last thing that the peer gets; nothing is queued
  /// behind it.
  void control(std::string_view frame, bool closes);
  [[nodiscard]] bool control_sent() const noexcept { return control_.empty(); }

  /// No entry leaves from here on; what is queued for this socket alone still does.
  void stop_entries() noexcept { closing_ = true; }

  /// Bytes that are not gathered anew each time: frames for this socket alone and the rest of one.
  [[nodiscard]] std::size_t backlog() const noexcept { return own_.size() - own_sent_; }

  /// Hints for the processor's cache, well before `gather`: the outlet itself, then what is ready
  /// in it.
  void prefetch() const noexcept { __builtin_prefetch(this); }
  void prefetch_ready() const noexcept {
    if (!ready_.empty()) {
      __builtin_prefetch(ready_.front());
      __builtin_prefetch(reinterpret_cast<const char*>(ready_.front()) + 64);
    }
  }

  void make_ready(follower& x);
  /// Forgets a follower that is about to be destroyed.
  void forget(follower& x);

  /// Fills `to` with what should leave now, in order. Empty: nothing.
  void gather(gathering& to, page_source& pages);

  /// Accounts for the first `n` bytes of `what`, gathered by the last call. @pre nothing was posted
  /// since.
  /// @returns whether all of it has left.
  bool sent(gathering& what, std::size_t n);

private:
  void gather_from(gathering& to, follower& x, page_source& pages);
  static void add_entries(gathering& to, follower& x, subscription& probe, run_ptr held);
  static void add_mark(gathering& to, follower& x, subscription& probe, const step& due);
  void keep_rest(std::string_view rest);

  /// Complete frames, of which the first `own_sent_` bytes have left.
  std::string own_;
  std::size_t own_sent_ = 0;
  /// A control frame, of which the first `control_sent_` bytes have left.
  std::string control_;
  std::uint8_t control_sent_ = 0;
  bool closing_ = false;
  bool closes_ = false;
  std::vector<follower*> ready_;
};

} // namespace confab::model
