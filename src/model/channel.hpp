// Which Pub/Sub channel belongs to which conversation: `redis.pubsub_in`, `redis.pubsub_out`.
#pragma once

#include "model/name.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace confab::model {

/// A text with one place for a conversation's name.
class channel_pattern {
public:
  /// @param place what stands for the name, exactly once: `*` or `{name}`. Errors: `bad_request`;
  /// also for other signs that Redis reads as a pattern.
  [[nodiscard]] static result<channel_pattern> parse(std::string_view text, std::string_view place);

  [[nodiscard]] std::string channel_of(const conversation_name& name) const;
  /// Empty: the channel does not match, or what stands there is no name.
  [[nodiscard]] std::optional<conversation_name> name_of(std::string_view channel) const;

private:
  std::string before_;
  std::string after_;
};

} // namespace confab::model
