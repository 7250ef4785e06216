// The appends of one NDJSON body: bytes in, drafts out as their lines end; answers in, receipts out
// in the lines' order.
//
// Invariants:
// (1) Line n is published before line n + 1, and its receipt is told before that of line n + 1.
// (2) Behind a line that is refused, nothing is published.
// (3) Memory is one line, the drafts without an answer, and the receipts that nobody has taken,
// each bounded.
#pragma once

#include "net/client.hpp"
#include "net/io_thread.hpp"

#include <deque>

namespace confab::net {

class line_appends {
public:
  /// @param key of the request; empty: none. Line n has a key of its own, made of it.
  /// @param streamed the receipts are taken as they come; otherwise they add up to
  /// `receipts_bytes_max`.
  line_appends(model::conversation_name name, std::string key, bool streamed,
               const session_limits& limits);

  static constexpr std::size_t receipts_bytes_max = 1024 * 1024;

  /// More of the body. @pre `next` has returned nothing since
  void feed(std::string_view piece);
  /// The body is complete: what is left is the last line.
  void end();

  /// The body cannot be read on.
  void stop(model::error why) { refuse(line_ + 1, std::move(why)); }

  /// The next draft to publish; nothing: more of the body is needed, or answers first, or a line
  /// was refused.
  [[nodiscard]] std::optional<publish_command> next();
  /// As many drafts are unanswered as may be: the body waits.
  [[nodiscard]] bool full() const noexcept;
  /// A whole line waits in here.
  [[nodiscard]] bool holds_line() const noexcept;

  void answered(const published_event& x);
  void answered(const failed_event& x);

  /// Receipts since the last call, one JSON object each, every one followed by `separator`.
  [[nodiscard]] std::string take_receipts(char separator);
  /// Whether any receipt is of a new entry.
  [[nodiscard]] bool appended() const noexcept { return appended_; }

  struct refused_line {
    std::uint64_t line;
    model::error why;
  };
  /// The first line that was refused, and everything before it was answered.
  [[nodiscard]] const std::optional<refused_line>& refusal() const noexcept { return refusal_; }
  /// Lines that have ended, and bytes of the one in progress.
  [[nodiscard]] std::uint64_t lines() const noexcept { return line_; }
  [[nodiscard]] std::size_t begun_bytes() const noexcept { return text_.size() - at_; }
  /// Nothing more will be read of the body.
  [[nodiscard]] bool over() const noexcept { return ended_ || stopped_; }
  /// ... and every draft was answered.
  [[nodiscard]] bool finished() const noexcept { return slots_.empty() && over() && !holds_line(); }

private:
  struct slot {
    std::uint64_t line;
    std::optional<model::result<model::receipt>> got;
  };

  void settle(std::string_view ref, std::size_t bytes, model::result<model::receipt> got);
  void refuse(std::uint64_t line, model::error why);

  const model::conversation_name name_;
  const std::string key_;
  const bool streamed_;
  const session_limits& limits_;

  /// From `at_` on not yet parsed.
  std::string text_;
  std::size_t at_ = 0;
  /// From here on no line end was looked for.
  std::size_t scanned_ = 0;
  std::uint64_t line_ = 0;
  std::deque<slot> slots_;
  std::size_t unanswered_bytes_ = 0;
  std::string receipts_;
  std::optional<refused_line> refusal_;
  bool appended_ = false;
  bool ended_ = false;
  bool stopped_ = false;
};

} // namespace confab::net
