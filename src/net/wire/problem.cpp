// Errors as HTTP answers.
#include "net/wire/formats.hpp"
#include "net/wire/json_object.hpp"

namespace confab::net::wire {

std::string problem_body(unsigned status, std::string_view title, const model::error& why) {
  std::string out = R"({"type":"about:blank","title":)";
  add_string(out, title);
  out += R"(,"status":)" + std::to_string(status) + R"(,"code":")";
  out.append(to_string(why.what)).append(R"(","detail":)");
  add_string(out, why.detail);
  out += temporary(why.what) ? R"(,"retry":true)" : R"(,"retry":false)";
  if (why.what == model::code::producer_gap)
    out += R"(,"expected":)" + std::to_string(why.expected);
  out += R"(,"help":")";
  out.append(help_of(why.what)) += '"';
  return out += '}';
}

std::string_view help_of(model::code x) noexcept {
  using model::code;
  switch (x) {
  case code::bad_request:
  case code::bad_name:
  case code::bad_after:
  case code::bad_producer:
    return "Correct what the detail names; the same request fails again.";
  case code::unknown_op:
    return "Send one of the ops of the protocol.";
  case code::bad_ack:
    return "Acknowledge what you have received and handled.";
  case code::not_subscribed:
    return "Subscribe first.";
  case code::forbidden:
    return "Ask the operator for access; the same request fails again.";
  case code::not_found:
    return "Check the name and the path; the first publish creates a conversation.";
  case code::unsupported:
    return "Use what the detail and the Allow field name.";
  case code::conflict:
    return "Choose another name, or ask for what is there.";
  case code::gone:
    return "Its name is free when the last fork of it is gone.";
  case code::position_gone:
    return "Begin at the offset in Stream-Next-Offset; what came before is lost to you.";
  case code::stream_seq:
    return "Send one beyond the last one that was taken.";
  case code::closed:
    return "Publish to another conversation; this one stays as it is.";
  case code::content_type:
    return "Send the conversation's own content type.";
  case code::producer_gap:
    return "Go on with the number in expected, if nothing was lost between.";
  case code::producer_old:
    return "Take it as appended.";
  case code::superseded:
    return "Use another client id for a second connection.";
  case code::producer_epoch:
    return "Stop: a newer incarnation of this producer is at work.";
  case code::frame_too_large:
  case code::batch_too_large:
    return "Send less at once.";
  case code::payload_too_large:
    return "Split it, or send a reference to it.";
  case code::idempotency_mismatch:
    return "Use a new key for a new body.";
  case code::too_many_subscriptions:
    return "Unsubscribe from others, or open another connection.";
  case code::log_damaged:
    return "Tell the operator to run confab check.";
  case code::timeout:
    return "Send the whole request at once, and try again.";
  case code::append_unknown:
    return "Send it again with the same producer number or idempotency key.";
  case code::store_failed:
  case code::read_failed:
  case code::overloaded:
  case code::draining:
  case code::moved:
    return "Try again later, each time after a longer pause.";
  }
  return "";
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
  case code::timeout:
    return 408;
  case code::gone:
  case code::position_gone:
    return 410;
  case code::conflict:
  case code::stream_seq:
  case code::closed:
  case code::content_type:
  case code::producer_gap:
  case code::producer_old:
  case code::superseded:
    return 409;
  case code::forbidden:
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
