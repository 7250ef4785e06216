#include "net/stream_route.hpp"

#include "net/http_fields.hpp"
#include "net/request_target.hpp"
#include "net/wire/json_object.hpp"

#include <algorithm>

namespace confab::net {

namespace http = boost::beast::http;

namespace {

/// What a stream holds whose creation names nothing.
constexpr std::string_view content_type_default = "application/octet-stream";

std::string_view view(boost::beast::string_view x) {
  return {x.data(), x.size()};
}

refuse_stream refused(model::code what, std::string detail, unsigned status = 0) {
  return {{what, std::move(detail)}, status};
}

/// Raw slashes are part of the name here.
model::result<model::conversation_name> name_of(const request_target& target) {
  const auto& path = target.segments;
  // The protocol keeps these names for subscriptions, which are not offered.
  if (path[2] == "__ds")
    return model::error{model::code::not_found, "path: there are no subscriptions here"};
  std::string joined = path[2];
  for (std::size_t i = 3; i < path.size(); ++i)
    joined.append("/").append(path[i]);
  return model::conversation_name::parse(joined);
}

/// Without its query. A relative one would do for HTTP; the protocol's clients expect it absolute.
std::string location_of(const http_request& x) {
  auto target = view(x.target());
  return "http://" +
         std::string{view(x[http::field::host])}.append(target.substr(0, target.find('?')));
}

stream_route read_route(const http_request& x, const request_target& target,
                        model::conversation_name name) {
  if (x.method() == http::verb::head)
    return ask_stream{info_command{std::move(name)}, {.what = stream_question::kind::info}};
  std::optional<std::string_view> offset;
  for (const auto& [key, value] : target.query) {
    if (key != "offset")
      continue;
    if (offset)
      return refused(model::code::bad_after, "offset: must stand once");
    offset = value;
  }
  auto from = parse_offset(offset.value_or("-1"));
  if (!from)
    return refuse_stream{from.why()};
  auto live = target.parameter("live");
  if (live && *live != "long-poll" && *live != "sse")
    return refused(model::code::bad_request, "live: must be long-poll or sse");
  if (live && !offset)
    return refused(model::code::bad_request, "offset: must be given with live");
  auto cursor = parse_cursor(target.parameter("cursor").value_or(""));
  if (live && *live == "sse")
    return follow_stream{std::move(name), *from, cursor};
  stream_question how{.what = live ? stream_question::kind::wait : stream_question::kind::read,
                      .at_offset = from->from.what == model::after::form::seq,
                      .from_now = from->from.what == model::after::form::now,
                      .cursor = cursor,
                      .if_none_match = std::string{view(x[http::field::if_none_match])}};
  if (live)
    return wait_on_stream{std::move(name), *from, std::move(how)};
  return ask_stream{page_command{std::move(name), *from, model::page_entries_max}, std::move(how)};
}

stream_route create_route(const http_request& x, model::conversation_name name) {
  auto life = lifetime_fields(x);
  if (!life)
    return refuse_stream{life.why()};
  auto fork = fork_fields(x);
  if (!fork)
    return refuse_stream{fork.why()};
  model::creation made;
  made.content_type = view(x[http::field::content_type]);
  // A fork's is its source's.
  if (made.content_type.empty() && !*fork)
    made.content_type = content_type_default;
  made.lifetime = *life;
  made.closed = closing_field(x);
  made.fork = std::move(*fork);
  auto type = made.content_type;
  return needs_stream_body{
      .name = std::move(name),
      .how = {.what = stream_question::kind::create, .location = location_of(x)},
      .content_type = std::move(type),
      .creation = std::move(made)};
}

stream_route append_route(const http_request& x, model::conversation_name name) {
  auto producer = producer_fields(x);
  if (!producer)
    return refuse_stream{producer.why()};
  auto sequence = stream_seq_field(x);
  if (!sequence)
    return refuse_stream{sequence.why()};
  std::string type{view(x[http::field::content_type])};
  model::conditions where{.content_type = type,
                          .must_exist = true,
                          .stream_seq = std::move(*sequence),
                          .closes = closing_field(x),
                          .numbering = model::numbering::from_zero};
  return needs_stream_body{
      .name = std::move(name),
      .how = {.what = stream_question::kind::append, .producer = std::move(*producer)},
      .content_type = std::move(type),
      .where = std::move(where)};
}

std::string_view without_space_around(std::string_view json) noexcept {
  constexpr std::string_view space = " \t\r\n";
  json.remove_prefix(std::min(json.find_first_not_of(space), json.size()));
  return json.substr(0, json.find_last_not_of(space) + 1);
}

/// The body as drafts: of JSON one per value, an array being taken apart once; else one, none of an
/// empty body.
model::result<std::vector<model::draft>> drafts_of(std::string_view body, bool json,
                                                   const session_limits& limits) {
  std::vector<model::draft> drafts;
  if (body.empty())
    return drafts;
  if (json && !wire::valid_json(body))
    return model::error{model::code::bad_request, "body: is not valid JSON in UTF-8"};
  auto elements = json ? wire::elements(body) : std::nullopt;
  if (!elements)
    elements = {json ? without_space_around(body) : body};
  if (elements->size() > model::drafts_max)
    return model::error{model::code::batch_too_large,
                        "body: has " + std::to_string(elements->size()) + " elements; at most " +
                            std::to_string(model::drafts_max) + " are allowed at once"};
  for (auto one : *elements) {
    if (one.size() > limits.wire.payload_bytes)
      return model::error{model::code::payload_too_large,
                          "body: an element has " + std::to_string(one.size()) +
                              " bytes; at most " + std::to_string(limits.wire.payload_bytes) +
                              " are allowed (net.payload_bytes)"};
    drafts.push_back({.sender = client_identity{}.user,
                      .payload = std::string{one},
                      .message = {},
                      .source_id = {}});
  }
  return drafts;
}

} // namespace

stream_route stream_route_of_head(const http_request& x) {
  auto target = parse_target(view(x.target()));
  auto name = name_of(*target);
  if (!name)
    return refuse_stream{name.why()};
  switch (x.method()) {
  case http::verb::put:
    return create_route(x, std::move(*name));
  case http::verb::post:
    return append_route(x, std::move(*name));
  case http::verb::delete_:
    return ask_stream{delete_command{std::move(*name)}, {.what = stream_question::kind::remove}};
  default:
    return read_route(x, *target, std::move(*name));
  }
}

stream_route stream_route_of_body(const needs_stream_body& known, const http_request& x,
                                  const session_limits& limits) {
  auto creates = known.how.what == stream_question::kind::create;
  if (!creates && x.body().empty() && !known.where.closes)
    return refused(model::code::bad_request, "body: is empty; there is nothing to append");
  if (!x.body().empty() && !model::valid_content_type(known.content_type))
    return refused(model::code::bad_request, "Content-Type: is missing, or is not type/subtype");
  auto json = model::form_of(known.content_type) == model::payload_form::json;
  auto drafts = drafts_of(x.body(), json, limits);
  if (!drafts)
    return refuse_stream{drafts.why()};
  auto how = known.how;
  if (creates) {
    auto made = known.creation;
    made.drafts = std::move(*drafts);
    return ask_stream{
        create_command{known.name, std::make_shared<const model::creation>(std::move(made))},
        std::move(how)};
  }
  if (drafts->empty() && !x.body().empty())
    return refused(model::code::bad_request, "body: is an empty array; there is nothing to append");
  how.empty = drafts->empty();
  model::batch batch;
  batch.drafts = std::move(*drafts);
  batch.where = known.where;
  if (how.producer) {
    batch.producer = how.producer->id;
    batch.producer_epoch = how.producer->epoch;
    batch.producer_seq = how.producer->number;
  }
  return ask_stream{
      publish_command{{}, known.name, std::make_shared<const model::batch>(std::move(batch))},
      std::move(how)};
}

} // namespace confab::net
