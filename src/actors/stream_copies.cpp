#include "actors/stream_copies.hpp"

#include "model/log_state.hpp"
#include "net/wire/base64.hpp"
#include "net/wire/json_object.hpp"
#include "net/wire/utf8.hpp"
#include "store/stream_source.hpp"

namespace confab::actors {

namespace {

constexpr std::size_t sender_bytes_max = 256;

/// A field that is good for an entry, else empty.
std::string short_text(const model::stream_entry& x, std::string_view name, std::size_t bytes_max) {
  const auto* value = x.field(name);
  if (value == nullptr || value->size() > bytes_max || !net::wire::valid_utf8(*value))
    return {};
  return *value;
}

std::string as_json(const std::string& bytes) {
  if (net::wire::valid_json(bytes))
    return bytes;
  std::string json;
  if (net::wire::valid_utf8(bytes)) {
    net::wire::add_string(json, bytes);
    return json;
  }
  json = R"({"base64":")";
  net::wire::add_base64(json, bytes);
  json += "\"}";
  return json;
}

} // namespace

model::draft copy_of(const model::stream_entry& x, model::payload_form form) {
  const auto* bytes = x.field("payload");
  model::draft made;
  // Not even made longer than a page; base64 and escapes may still do so.
  if (bytes == nullptr || bytes->size() <= model::page_bytes_max) {
    if (form == model::payload_form::json)
      made.payload = bytes == nullptr ? "null" : as_json(*bytes);
    else if (bytes != nullptr)
      made.payload = *bytes;
  }
  auto left_out = x.fields.size() == 1 && x.fields.front().name == store::too_large_field;
  if (left_out || (bytes != nullptr && bytes->size() > model::page_bytes_max) ||
      made.payload.size() > model::page_bytes_max)
    made = model::gap_draft(model::gap_reason::too_large, 1, {});
  else if (auto kind = short_text(x, "kind", model::kind_bytes_max); !kind.empty())
    made.kind = kind;
  made.sender = short_text(x, "sender_id", sender_bytes_max);
  made.message = short_text(x, "message", model::message_bytes_max);
  made.source_id = x.id;
  return made;
}

} // namespace confab::actors
