// Consecutive entries of one conversation, encoded once per wire format and shared by all sockets.
#pragma once

#include "model/byte_budget.hpp"
#include "model/entry.hpp"
#include "model/log_state.hpp"
#include "model/name.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace confab::model {

enum class reset_reason : std::uint8_t { trimmed, epoch, deleted };

[[nodiscard]] std::string_view to_string(reset_reason x) noexcept;

/// What a log has behind an entry or a mark that goes out.
enum class remaining : std::uint8_t {
  more,
  nothing_yet,
  end, ///< Nothing, for ever: it is closed.
};

/// How entries and the marks between them look on one wire: complete frames, ready to be sent.
/// Stateless; any thread.
///
/// The frames of an *open-ended* format lack their last bytes, which `add_end` makes for each
/// socket: they say how far the reader is, so an entry that reaches the tail needs no `live` or
/// `closed` behind it. Such a format has no frame for a reset: no entry leaves any more, and the
/// socket's owner sees the reset in `subscription::next`.
class wire_format {
public:
  explicit constexpr wire_format(std::size_t index, bool open_ended = false) noexcept
    : index_{index}, open_ended_{open_ended} {}
  virtual ~wire_format() = default;

  /// Distinct per format; below `wire_formats_max`.
  [[nodiscard]] std::size_t index() const noexcept { return index_; }
  [[nodiscard]] bool open_ended() const noexcept { return open_ended_; }

  /// `of` gives the epoch for formats whose frames carry a position.
  virtual void add_entry(std::string& out, const conversation_name& name, const epoch& of,
                         const entry& x) const = 0;
  virtual void add_live(std::string& out, const conversation_name& name,
                        const position& at) const = 0;
  /// With `trimmed`, the entries [from, through] are missing.
  virtual void add_reset(std::string& out, const conversation_name& name, reset_reason reason,
                         const epoch& now, seq from, seq through) const = 0;
  virtual void add_closed(std::string& out, const conversation_name& name,
                          const position& at) const = 0;
  /// The end of a frame for one socket; `token` is its follower's. Never empty if `open_ended()`.
  virtual void add_end(std::string& /*out*/, std::uint64_t /*token*/, remaining /*rest*/) const {}

private:
  std::size_t index_;
  bool open_ended_;
};

inline constexpr std::size_t wire_formats_max = 4;

/// A run in one format: `bytes` is the concatenation of one frame per entry; `ends[i]` is where the
/// frame of the i-th entry ends.
struct frames {
  std::string bytes;
  std::vector<std::uint32_t> ends;
};

/// Immutable, apart from its encodings, which appear when first asked for. Any thread.
class run {
public:
  /// @pre `entries` is not empty and consecutive.
  /// @param budget counts the run while it lives; may be null; must outlive it.
  run(std::shared_ptr<const conversation_name> name, model::epoch epoch, std::vector<entry> entries,
      byte_budget* budget);
  ~run();
  run(const run&) = delete;
  run& operator=(const run&) = delete;

  [[nodiscard]] seq first() const noexcept { return entries_.front().at; }
  [[nodiscard]] seq last() const noexcept { return entries_.back().at; }
  [[nodiscard]] bool holds(seq at) const noexcept { return first() <= at && at <= last(); }
  [[nodiscard]] const model::epoch& epoch() const noexcept { return epoch_; }
  [[nodiscard]] std::span<const entry> entries() const noexcept { return entries_; }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  /// Sum of the entries' weights.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  /// @pre holds(at)
  [[nodiscard]] entry_id id_of(seq at) const noexcept {
    return entries_[at.value - first().value].id;
  }

  /// Encodes at the first call per format.
  [[nodiscard]] const frames& encoded(const wire_format& format) const;

private:
  void encode(const wire_format& format, frames& to) const;

  // Not std::call_once: that makes a system call each time, also when nobody waits.
  struct encoding {
    enum class phase : std::uint8_t { none, under_way, done };
    std::atomic<phase> at{phase::none};
    frames held;
  };

  std::shared_ptr<const conversation_name> name_;
  model::epoch epoch_;
  std::vector<entry> entries_;
  std::size_t bytes_ = 0;
  byte_budget* budget_;
  mutable std::atomic<std::size_t> taken_{0};
  mutable std::array<encoding, wire_formats_max> encodings_;
};

using run_ptr = std::shared_ptr<const run>;

} // namespace confab::model
