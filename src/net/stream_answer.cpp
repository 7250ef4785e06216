#include "net/stream_answer.hpp"

#include "net/timestamp.hpp"
#include "net/wire/stream_format.hpp"

namespace confab::net {

namespace {

void add_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

void add_field(std::string& out, std::string_view name, std::uint64_t value) {
  add_field(out, name, std::to_string(value));
}

void add_closed(std::string& out, const model::log_state& state) {
  if (state.life == model::lifecycle::closed)
    add_field(out, "Stream-Closed", "true");
}

void add_next(std::string& out, const model::position& at) {
  add_field(out, "Stream-Next-Offset", to_string(at));
}

void add_lifetime(std::string& out, const model::lifetime& x) {
  if (x.ttl_s)
    add_field(out, "Stream-TTL", *x.ttl_s);
  else if (x.expires_ms)
    add_field(out, "Stream-Expires-At", timestamp_text(*x.expires_ms));
}

} // namespace

stream_answer answer_created(const stream_question& asked, const created_event& x) {
  stream_answer result{.status = x.what.existed ? 200u : 201u,
                       .type = x.what.settings.content_type};
  if (!x.what.existed)
    add_field(result.fields, "Location", asked.location);
  add_field(result.fields, "Stream-Next-Offset", tail_offset(x.what.state));
  add_lifetime(result.fields, x.what.settings.lifetime);
  add_closed(result.fields, x.what.state);
  return result;
}

stream_answer answer_appended(const stream_question& asked, const published_event& x) {
  auto fresh = asked.producer && !asked.empty && !x.got.duplicate;
  stream_answer result{.status = fresh ? 200u : 204u};
  add_next(result.fields, {x.state.epoch, x.got.last(), x.got.last_id()});
  if (asked.producer) {
    add_field(result.fields, "Producer-Epoch", asked.producer->epoch);
    add_field(result.fields, "Producer-Seq", x.producer_last);
  }
  add_closed(result.fields, x.state);
  return result;
}

stream_answer answer_info(const info_event& x) {
  stream_answer result{.type = x.settings.content_type};
  add_field(result.fields, "Stream-Next-Offset", tail_offset(x.state));
  add_lifetime(result.fields, x.settings.lifetime);
  add_closed(result.fields, x.state);
  return result;
}

stream_reading::stream_reading(const model::log_state& state, const model::settings& settings,
                               model::start after)
  : state_{state}, settings_{settings}, after_{after}, last_{state.epoch, after.at, {}},
    json_{model::form_of(settings.content_type) == model::payload_form::json} {
  if (last_.at == state.tail)
    last_.id = state.tail_id;
  if (json_)
    body_ = '[';
}

void stream_reading::add(std::span<const model::entry> entries) {
  if (entries.empty())
    return;
  if (first_ == model::seq{})
    first_ = entries.front().at;
  wire::add_payloads(body_, entries);
  last_.at = entries.back().at;
  last_.id = entries.back().id;
}

std::optional<model::error> stream_reading::refusal(const stream_question& asked) const {
  if (state_.epoch.empty())
    return model::error{model::code::not_found, "there is no such stream"};
  if (after_.reset)
    return model::error{model::code::position_gone,
                        "offset: is of a log that is not there any more; what is there begins at " +
                            model::to_string({state_.epoch, {state_.first.value - 1}, {}})};
  // Without an offset it begins with the first one that there is.
  if (asked.at_offset && state_.first > after_.at.next())
    return model::error{model::code::position_gone,
                        "offset: retention has removed what comes behind it; what is there begins "
                        "at " +
                            model::to_string({state_.epoch, {state_.first.value - 1}, {}})};
  return std::nullopt;
}

std::string stream_reading::refusal_fields(const model::error& why) const {
  std::string out;
  if (why.what == model::code::position_gone)
    add_next(out, {state_.epoch, {state_.first.value - 1}, {}});
  return out;
}

stream_answer stream_reading::answer(const stream_question& asked, std::int64_t now_ms) {
  auto live = asked.what == stream_question::kind::wait;
  auto at_tail = last_.at >= state_.tail;
  stream_answer result;
  auto& fields = result.fields;
  add_next(fields, last_);
  if (at_tail)
    add_field(fields, "Stream-Up-To-Date", "true");
  if (at_tail)
    add_closed(fields, state_);
  if (live)
    add_field(fields, "Stream-Cursor", next_cursor(asked.cursor, now_ms));
  if (live && empty()) {
    result.status = 204;
    return result;
  }
  result.type = settings_.content_type;
  // Whoever opens a stream of text/html in a browser must not run it as a page of this server's.
  add_field(fields, "Content-Security-Policy", "default-src 'none'; sandbox");
  if (!asked.from_now || live) {
    // The same tag only if the whole answer is the same, its header lines too.
    auto tag = '"' + state_.epoch.text + ':' + std::to_string(after_.at.value) + ':' +
               std::to_string(first_.value) + ':' + std::to_string(last_.at.value);
    if (at_tail)
      tag += state_.life == model::lifecycle::closed ? ":closed" : ":tail";
    tag += '"';
    add_field(fields, "ETag", tag);
    // What has entries behind it cannot change; at the tail only asking can tell.
    result.cache = !at_tail && asked.at_offset ? "private, max-age=60, stale-while-revalidate=300"
                                               : "no-cache";
    if (!live && names_etag(asked.if_none_match, tag)) {
      result.status = 304;
      result.type.clear();
      return result;
    }
  }
  result.body = std::move(body_);
  if (json_)
    result.body += ']';
  return result;
}

std::string refusal_fields(const stream_question& asked, const failed_event& x) {
  std::string out;
  if (x.why.what == model::code::closed) {
    add_field(out, "Stream-Closed", "true");
    add_field(out, "Stream-Next-Offset", tail_offset(x.state));
  } else if (x.why.what == model::code::producer_epoch) {
    add_field(out, "Producer-Epoch", x.why.expected);
  } else if (x.why.what == model::code::producer_gap && asked.producer) {
    add_field(out, "Producer-Expected-Seq", x.why.expected);
    add_field(out, "Producer-Received-Seq", asked.producer->number);
  }
  return out;
}

std::string tail_offset(const model::log_state& state) {
  return model::to_string({state.epoch, state.tail, state.tail_id});
}

} // namespace confab::net
