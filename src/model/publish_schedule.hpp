// When a load publisher sends what: due times, numbers, the window of unanswered publishes,
// retries.
//
// Invariants:
//  1. Due times do not depend on answers: a full window delays sending, never what latency counts
//  from.
//  2. A number is used up by one publish: a retry has the first try's number and due time.
//  3. Retries leave in the order of their numbers, alone: nothing new is sent while one is to be
//  retried, and none while an
//     answer is still to come, so a retry never overtakes what was sent before it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <vector>

namespace confab::model {

/// Pure; times in nanoseconds of one clock. One thread.
class publish_schedule {
public:
  static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
  static constexpr std::int64_t retry_ns_min = 10'000'000;
  static constexpr std::int64_t retry_ns_max = 1'000'000'000;
  /// A publish that was refused so often is given up.
  static constexpr std::uint32_t tries_max = 100;

  struct plan {
    /// 0: whenever the window has room; a publish is then due when it is sent.
    double per_s = 0;
    /// Publishes that are due together; `per_s` counts publishes, not bursts.
    std::uint32_t burst = 1;
    /// Unanswered publishes at most.
    std::uint32_t flight = 64;
    std::int64_t begin_ns = 0;
    /// Exclusive: no publish is due from then on.
    std::int64_t end_ns = never;
    /// No more publishes than this; 0: no such end.
    std::uint64_t entries = 0;
  };

  struct publish {
    /// Which of the publisher's conversations; they take turns.
    std::uint32_t conversation = 0;
    /// Rises by one from 1, per conversation.
    std::uint64_t number = 0;
    /// Rises by one from 1, retries included.
    std::uint64_t ref = 0;
    std::int64_t due_ns = 0;
    bool again = false;
  };

  /// @param receipts false: a publish counts as answered when it is sent. @pre conversations > 0
  publish_schedule(std::uint32_t conversations, bool receipts);

  /// Goes on with another plan; numbers go on too. What is unanswered stays so.
  void start(const plan& x);
  /// No publish is due from `end_ns` on, exclusive.
  void stop(std::int64_t end_ns) noexcept;

  /// What to send now, if anything.
  [[nodiscard]] std::optional<publish> next(std::int64_t now_ns);
  /// When `next` will have something; `never` while it waits for answers or has none left.
  [[nodiscard]] std::int64_t next_ns(std::int64_t now_ns) const noexcept;

  /// @returns the publish that `ref` was; nothing if it is not among the unanswered.
  std::optional<publish> answered(std::uint64_t ref);
  /// @returns the publish; it is retried, unless `retry` is false or it has been tried too often:
  /// then `given_up`.
  std::optional<publish> refused(std::uint64_t ref, bool retry, std::int64_t now_ns);
  /// The connection is lost: everything unanswered is sent again.
  void disconnected();

  /// Everything that was due is sent and answered.
  [[nodiscard]] bool finished(std::int64_t now_ns) const noexcept;
  [[nodiscard]] bool given_up() const noexcept { return given_up_; }
  [[nodiscard]] std::size_t unanswered() const noexcept { return open_ + again_.size(); }
  /// How many have left, each counted once.
  [[nodiscard]] std::uint64_t published() const noexcept { return published_; }
  [[nodiscard]] std::uint64_t retried() const noexcept { return retried_; }
  /// The last number used in a conversation.
  [[nodiscard]] std::uint64_t last_number(std::uint32_t conversation) const noexcept {
    return numbers_[conversation];
  }

private:
  struct sent {
    publish what;
    /// Over all conversations, for the order of retries.
    std::uint64_t order = 0;
    std::uint32_t tries = 1;
    bool open = true;
  };

  /// Of the next new publish; `never` if there is none.
  [[nodiscard]] std::int64_t due_ns(std::int64_t now_ns) const noexcept;
  [[nodiscard]] sent* find(std::uint64_t ref) noexcept;
  void retry(const sent& x);
  void forget_answered();

  bool receipts_;
  plan plan_{.end_ns = 0};
  /// Of this plan.
  std::uint64_t planned_ = 0;
  std::vector<std::uint64_t> numbers_;
  std::uint32_t turn_ = 0;
  std::uint64_t last_ref_ = 0;
  /// Unanswered, rising by ref without holes; those that are answered leave when the first is.
  std::deque<sent> sent_;
  std::size_t open_ = 0;
  /// To be sent again, rising by order.
  std::deque<sent> again_;
  /// Retries are leaving: they need not wait for each other's answers.
  bool resending_ = false;
  std::int64_t retry_at_ns_ = 0;
  std::uint32_t refusals_in_row_ = 0;
  std::uint64_t published_ = 0;
  std::uint64_t retried_ = 0;
  bool given_up_ = false;
};

} // namespace confab::model
