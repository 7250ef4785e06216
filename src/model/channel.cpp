#include "model/channel.hpp"

namespace confab::model {

result<channel_pattern> channel_pattern::parse(std::string_view text, std::string_view place) {
  auto at = text.find(place);
  channel_pattern made;
  if (at != std::string_view::npos) {
    made.before_ = text.substr(0, at);
    made.after_ = text.substr(at + place.size());
  }
  if (at == std::string_view::npos ||
      (made.before_ + made.after_).find_first_of("*?[]{}\\") != std::string::npos)
    return error{code::bad_request, "must have " + std::string{place} +
                                        " once, where a conversation's name stands, and none of "
                                        "the other signs of patterns"};
  return made;
}

std::string channel_pattern::channel_of(const conversation_name& name) const {
  return before_ + name.text() + after_;
}

std::optional<conversation_name> channel_pattern::name_of(std::string_view channel) const {
  if (channel.size() <= before_.size() + after_.size() || !channel.starts_with(before_) ||
      !channel.ends_with(after_))
    return std::nullopt;
  channel.remove_prefix(before_.size());
  channel.remove_suffix(after_.size());
  auto name = conversation_name::parse(channel);
  return name ? std::optional{std::move(*name)} : std::nullopt;
}

} // namespace confab::model
