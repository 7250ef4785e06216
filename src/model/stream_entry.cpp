#include "model/stream_entry.hpp"

#include <algorithm>

namespace confab::model {

namespace {

constexpr std::string_view stream_prefix = "stream:conversation:";

error malformed(std::string_view why) {
  return {code::bad_request, std::string{why}};
}

} // namespace

const std::string* stream_entry::field(std::string_view name) const noexcept {
  auto found =
      std::find_if(fields.begin(), fields.end(), [&](const auto& x) { return x.name == name; });
  return found == fields.end() ? nullptr : &found->value;
}

std::string stream_of(const conversation_name& name) {
  return std::string{stream_prefix} + name.text();
}

result<pointer> read_pointer(const stream_entry& x) {
  if (x.fields.empty())
    return malformed("it is trimmed away");
  const auto* key = x.field("stream_key");
  const auto* said = x.field("conversation_id");
  const auto* id = x.field("entry_id");
  if (key == nullptr && said == nullptr)
    return malformed("neither stream_key nor conversation_id");
  if (key != nullptr && !key->starts_with(stream_prefix))
    return malformed("stream_key is no conversation's stream");
  std::string_view text =
      key == nullptr ? *said : std::string_view{*key}.substr(stream_prefix.size());
  if (said != nullptr && *said != text)
    return malformed("conversation_id and stream_key name two conversations");
  auto name = conversation_name::parse(text);
  if (!name)
    return name.why();
  auto at = id == nullptr ? std::nullopt : parse_entry_id(*id);
  if (!at)
    return malformed("entry_id is none");
  return pointer{std::move(*name), *at};
}

bool marked(const stream_entry& x, std::string_view origin) noexcept {
  const auto* mark = x.field(origin_field);
  return mark != nullptr && *mark == origin;
}

} // namespace confab::model
