// What nodes say to each other over their link: frames of records, in a compact binary form
// (DESIGN §8).
//
//   frame  = serial · acked · record*          numbers are LEB128, texts and lists carry a length
//   record = kind (1 byte) · length · body
//
// Invariants:
// (1) A record of an unknown kind, and what stands in a body behind its known members, is skipped:
//     a newer node may say more.
// (2) Whatever the bytes are, `read_link_frame` answers an error or values that a node could have
//     sent: names and epochs parse, entries are consecutive, every bound of the model holds.
#pragma once

#include "model/run.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace confab::net::wire {

/// A larger frame is refused unread.
inline constexpr std::size_t link_frame_bytes_max = 16 * 1024 * 1024;

/// The sender follows this conversation from now on; answered by an announcement.
struct follow_record {
  model::conversation_name name;
};
struct unfollow_record {
  model::conversation_name name;
};
/// The conversation's stream may have grown.
struct wake_record {
  model::conversation_name name;
};
/// Drafts for the home.
struct append_record {
  /// Chosen by the sender, repeated in the answer.
  std::uint64_t request = 0;
  model::conversation_name name;
  /// Whether they were sent before.
  bool retried = false;
  std::shared_ptr<const model::batch> drafts;
};
/// What became of drafts; as `actors::append_answer`.
struct answer_record {
  std::uint64_t request = 0;
  model::result<model::receipt> got;
  model::log_state state;
  std::uint64_t producer_last = 0;
};
/// A conversation's state and, as a convenience, its newest entries in order.
struct announcement_record {
  std::shared_ptr<const model::conversation_name> name;
  model::log_state state;
  std::vector<model::run_ptr> newest;
};

/// Whether the sender holds its lease; at first, and whenever it changes.
struct lease_record {
  bool held = false;
};

using link_record = std::variant<follow_record, unfollow_record, wake_record, append_record,
                                 answer_record, announcement_record, lease_record>;

struct link_frame {
  /// 1, 2, 3 … from each side of a link.
  std::uint64_t serial = 0;
  /// The last serial of the other side that was handled.
  std::uint64_t acked = 0;
  std::vector<link_record> records;
  /// Whether it carries any record, also of an unknown kind: its sender waits for the
  /// acknowledgement.
  bool says_something = false;
};

/// A frame in the making.
class link_frame_writer {
public:
  link_frame_writer(std::uint64_t serial, std::uint64_t acked);

  void add(const follow_record& x);
  void add(const unfollow_record& x);
  void add(const wake_record& x);
  void add(const append_record& x);
  void add(const answer_record& x);
  /// Entries are encoded once per run, whatever the number of links.
  void add(const announcement_record& x);
  void add(const lease_record& x);

  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
  [[nodiscard]] std::string finish() &&;

private:
  std::string bytes_;
};

/// @param budget counts the runs while they live; may be null; must outlive them.
/// Errors: `bad_request`, with what is wrong.
[[nodiscard]] model::result<link_frame> read_link_frame(std::string_view bytes,
                                                        model::byte_budget* budget);

/// Entries as announcements carry them.
[[nodiscard]] const model::wire_format& link_format() noexcept;

} // namespace confab::net::wire
