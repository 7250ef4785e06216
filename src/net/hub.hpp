// One I/O thread's view of all conversations that its sockets follow, and the passes that feed the
// sockets (DESIGN §6).
//
// Conversations and connections post from any thread into one inbox; the first post wakes the
// thread, and a pass takes everything that is there:
//
//   announcements ─> rings ─> followers ready ─┐
//   events for sessions ───────────────────────┼─> each touched socket is flushed once
//   pages ─> followers ready ──────────────────┘
//
// What arrives during a pass forms the next one. No sockets and no clocks here: a shell wakes it
// and sends for it.
#pragma once

#include "model/counter.hpp"
#include "model/feed.hpp"
#include "model/outlet.hpp"
#include "net/pages.hpp"
#include "net/session.hpp"

#include <functional>
#include <list>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace confab::net {

/// A feed of one hub. The conversation holds it to announce into; the followers hold it to read
/// from.
class hub_feed : public model::feed {
public:
  hub_feed(net::hub& owner, model::conversation_name name, model::ring_limits limits);

  [[nodiscard]] net::hub& owner() const noexcept { return owner_; }

private:
  friend class hub;

  net::hub& owner_;

  // Guarded by the hub's inbox mutex: the slot that keeps the newest state, and entries within a
  // bound.
  model::log_state posted_;
  std::vector<model::run_ptr> posted_runs_;
  std::size_t posted_bytes_ = 0;
  bool queued_ = false;

  // The hub's thread only.
  std::vector<model::follower*> followers_;
  std::vector<model::follower*> waiting_;
  /// The page that is being given out.
  model::run_ptr fresh_;
  std::list<hub_feed*>::iterator used_;
  bool listed_ = false;
};

struct hub_limits {
  model::ring_limits ring;
};

/// Of the hub's thread; any thread reads.
struct hub_counters {
  model::thread_counter passes;
  model::thread_counter flushes;
  model::thread_counter sent_bytes;
  /// How many there are.
  model::thread_counter subscriptions;
  /// Connections that ended since nothing came, or nothing was taken, for too long.
  model::thread_counter silent;
  /// What clients were told.
  model::counters_by_code<model::thread_counter> errors;
};

class hub final : public model::page_source {
public:
  /// @param wake makes `pass` run on the hub's thread soon; called from any thread, once per pass.
  hub(hub_limits limits, net::pages& from, std::function<void()> wake);
  ~hub();
  hub(const hub&) = delete;
  hub& operator=(const hub&) = delete;

  // From any thread.

  /// A feed with its first state, for the conversation that announces into it.
  [[nodiscard]] std::shared_ptr<hub_feed> open_feed(const model::conversation_name& name,
                                                    const model::log_state& state);
  /// The state is kept until a pass takes it; of the runs, as many as a ring holds.
  void announce(const std::shared_ptr<hub_feed>& to, const model::log_state& state,
                std::span<const model::run_ptr> newest);
  void post(std::uint64_t session, event x);
  void post(std::uint64_t session, std::vector<event> xs);
  void page_arrived(page_arrival x);
  [[nodiscard]] const hub_counters& counters() const noexcept { return counters_; }

  // On the hub's thread.

  void pass();
  /// Every quarter of a second or so: heartbeats, deadlines, and pages to ask for again.
  void tick(std::int64_t now_ms);

  /// Names a session and keeps it until `remove`.
  std::uint64_t add(std::shared_ptr<session> x);
  void remove(std::uint64_t id);
  [[nodiscard]] std::size_t sessions() const noexcept { return sessions_.size(); }
  /// Asks the session's `due` then too. It answers 0 to the question that comes later than it
  /// needs.
  void look_after(const session& x, std::int64_t at_ms) { schedule(x.id, at_ms); }
  /// Calls `f` for every session; `f` may end it.
  void for_each(const std::function<void(session&)>& f);

  void follow(model::follower& x);
  void unfollow(model::follower& x);

  /// The socket is flushed at the end of this pass, or of the next one.
  void touch(member& x);
  /// The same, behind all others: it has more to send than one turn allows.
  void touch_again(member& x);
  /// A member that is about to be destroyed.
  void forget(member& x);

  [[nodiscard]] model::gathering& scratch() noexcept { return scratch_; }
  [[nodiscard]] hub_counters& count() noexcept { return counters_; }
  model::run_ptr page_for(model::follower& who, model::seq at) override;

private:
  /// `add` puts something into the inbox; the first since the last pass wakes the thread. Any
  /// thread.
  template <class Add>
  void deposit(Add add);
  void wake_up();
  void take_announcements(std::vector<std::shared_ptr<hub_feed>>& feeds);
  void take_page(page_arrival& x);
  void flush_touched();
  void shed();

  static constexpr int wheel_slots = 128;
  void schedule(std::uint64_t id, std::int64_t at_ms);

  const hub_limits limits_;
  net::pages& pages_;
  const std::function<void()> wake_;

  std::mutex inbox_mutex_;
  bool scheduled_ = false;
  std::vector<std::shared_ptr<hub_feed>> inbox_feeds_;
  std::vector<std::pair<std::uint64_t, event>> inbox_events_;
  std::vector<page_arrival> inbox_pages_;

  // The hub's thread only.
  std::unordered_map<std::uint64_t, std::shared_ptr<session>> sessions_;
  std::uint64_t next_session_ = 1;
  // Sockets to flush, and those that come behind them; a destroyed one leaves a null.
  std::vector<member*> touched_, again_, flushing_;
  std::list<hub_feed*> feeds_; // least recently sent first
  model::gathering scratch_;
  hub_counters counters_;
  bool in_pass_ = false;

  struct retry {
    std::weak_ptr<hub_feed> feed;
    model::seq from;
    std::int64_t due_ms;
  };
  std::vector<retry> retries_;
  std::int64_t now_ms_ = 0;
  std::vector<std::vector<std::uint64_t>> wheel_;
  std::int64_t wheel_second_ = -1;
};

} // namespace confab::net
