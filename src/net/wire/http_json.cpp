#include "net/wire/formats.hpp"
#include "net/wire/json_object.hpp"

namespace confab::net::wire {

std::string page_body(const page_event& x) {
  std::string out = R"({"epoch":")" + x.held->state.epoch.text + R"(","first":)" +
                    std::to_string(x.held->state.first.value) + R"(,"last":)" +
                    std::to_string(x.held->state.tail.value) + R"(,"after":)" +
                    std::to_string(x.after.at.value);
  // A gap is never silent: what is not there any more stands here.
  const auto& first = x.held->state.first;
  if (x.after.reset)
    out += R"(,"reset":{"reason":")" + std::string{to_string(*x.after.reset)} + "\"}";
  else if (first > x.after.at.next())
    out += R"(,"reset":{"reason":"trimmed","missing":[)" +
           std::to_string(x.after.at.value + 1) + ',' + std::to_string(first.value - 1) + "]}";
  out += R"(,"entries":[)";
  for (const auto& e : x.held->entries) {
    out += out.back() == '[' ? "{" : ",{";
    add_entry_members(out, e);
    out += '}';
  }
  return out += "]}";
}

std::string info_body(const info_event& x) {
  return R"({"conversation":")" + x.name.text() + R"(","epoch":")" + x.state.epoch.text +
         R"(","first":)" + std::to_string(x.state.first.value) + R"(,"last":)" +
         std::to_string(x.state.tail.value) + R"(,"content_type":")" + x.content_type +
         R"(","closed":)" + (x.state.life == model::lifecycle::closed ? "true" : "false") + '}';
}

std::string receipt_body(const model::receipt& x, bool array) {
  std::string out;
  for (std::uint32_t i = 0; i < x.count; ++i) {
    if (i > 0)
      out += ',';
    out += R"({"seq":)" + std::to_string(x.first.value + i) + R"(,"id":")" +
           to_string(model::entry_id{x.id.ms, x.id.n + i}) + R"(","duplicate":)" +
           (x.duplicate ? "true" : "false") + '}';
  }
  return array ? '[' + out + ']' : out;
}

std::string problem_body(unsigned status, std::string_view title, const model::error& why) {
  std::string out = R"({"type":"about:blank","title":)";
  add_string(out, title);
  out += R"(,"status":)" + std::to_string(status) + R"(,"code":")";
  out.append(to_string(why.what)).append(R"(","detail":)");
  add_string(out, why.detail);
  out += temporary(why.what) ? R"(,"retry":true)" : R"(,"retry":false)";
  if (why.what == model::code::producer_gap)
    out += R"(,"expected":)" + std::to_string(why.expected);
  return out += '}';
}

unsigned status_of(model::code x) noexcept {
  using model::code;
  switch (x) {
  case code::bad_request:
  case code::unknown_op:
  case code::bad_name:
  case code::bad_after:
  case code::bad_producer:
  case code::bad_ack:
  case code::not_subscribed:
    return 400;
  case code::not_found:
    return 404;
  case code::unsupported:
    return 405;
  case code::closed:
  case code::content_type:
  case code::producer_gap:
  case code::producer_old:
  case code::superseded:
    return 409;
  case code::producer_epoch:
    return 403;
  case code::frame_too_large:
  case code::payload_too_large:
  case code::batch_too_large:
    return 413;
  case code::idempotency_mismatch:
    return 422;
  case code::too_many_subscriptions:
    return 429;
  case code::log_damaged:
    return 500;
  case code::store_failed:
  case code::append_unknown:
  case code::read_failed:
  case code::overloaded:
  case code::draining:
  case code::moved:
    return 503;
  }
  return 500;
}

} // namespace confab::net::wire
