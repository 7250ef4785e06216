// Which of several nodes appends what all of them hear on channels of Redis (DESIGN §8).
//
// All hear the same messages in the same order, and among them the list of the nodes that one of
// them publishes. So all change at the same place of that order.
//
// Invariants:
// (1) Of those that have heard the same list last, one takes a name: its home by that list.
// (2) Whoever has heard no list takes nothing.
// (3) Whoever knows other nodes than the last list names publishes those: at once if it has just
//     learned of them, else with patience, since it may be about to learn what others know already.
#pragma once

#include "model/placement.hpp"

#include <optional>

namespace confab::model {

class listeners {
public:
  /// @param own this node's incarnation.
  listeners(std::string own, std::int64_t patience_ms)
    : own_{std::move(own)}, patience_ms_{patience_ms} {}

  /// The live nodes, as this one knows them. @param now_ms any clock.
  void know(std::vector<std::string> incarnations, std::int64_t now_ms);
  /// A planned end is near: this node is to be in no list any more.
  void leave(std::int64_t now_ms);
  /// Whether it takes nothing any more, and others do if there are any.
  [[nodiscard]] bool left() const;
  /// The connection is a new one: what was published meanwhile was not heard.
  void begin_again();
  /// Errors: `bad_request`: it is no list, and changes nothing.
  [[nodiscard]] status heard(std::string_view list, std::int64_t now_ms);
  /// The list that is to be published now; empty: none. Until it was heard, it is due again.
  [[nodiscard]] std::string due(std::int64_t now_ms);
  /// Whether this node appends what is published for that conversation.
  [[nodiscard]] bool takes(const conversation_name& name) const {
    return homes_.home_of(name) == own_;
  }

private:
  std::string own_;
  std::int64_t patience_ms_;
  bool leaving_ = false;
  /// As lists; empty: not yet.
  std::string known_, heard_;
  placement homes_;
  bool listed_ = false;
  /// When the known list is to be published; nothing: it was heard.
  std::optional<std::int64_t> due_ms_;
};

} // namespace confab::model
