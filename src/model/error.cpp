#include "model/error.hpp"

namespace confab::model {

std::string_view to_string(code x) noexcept {
  switch (x) {
  case code::bad_request:
    return "bad_request";
  case code::unknown_op:
    return "unknown_op";
  case code::bad_name:
    return "bad_name";
  case code::bad_after:
    return "bad_after";
  case code::bad_producer:
    return "bad_producer";
  case code::frame_too_large:
    return "frame_too_large";
  case code::payload_too_large:
    return "payload_too_large";
  case code::batch_too_large:
    return "batch_too_large";
  case code::too_many_subscriptions:
    return "too_many_subscriptions";
  case code::not_found:
    return "not_found";
  case code::not_subscribed:
    return "not_subscribed";
  case code::bad_ack:
    return "bad_ack";
  case code::conflict:
    return "conflict";
  case code::gone:
    return "gone";
  case code::position_gone:
    return "position_gone";
  case code::stream_seq:
    return "stream_seq";
  case code::closed:
    return "closed";
  case code::content_type:
    return "content_type";
  case code::producer_gap:
    return "producer_gap";
  case code::producer_epoch:
    return "producer_epoch";
  case code::producer_old:
    return "producer_old";
  case code::idempotency_mismatch:
    return "idempotency_mismatch";
  case code::store_failed:
    return "store_failed";
  case code::append_unknown:
    return "append_unknown";
  case code::read_failed:
    return "read_failed";
  case code::log_damaged:
    return "log_damaged";
  case code::overloaded:
    return "overloaded";
  case code::superseded:
    return "superseded";
  case code::draining:
    return "draining";
  case code::unsupported:
    return "unsupported";
  case code::forbidden:
    return "forbidden";
  case code::timeout:
    return "timeout";
  case code::moved:
    return "moved";
  }
  return "unknown";
}

bool temporary(code x) noexcept {
  switch (x) {
  case code::store_failed:
  case code::append_unknown:
  case code::read_failed:
  case code::overloaded:
  case code::draining:
  case code::timeout:
  case code::moved:
    return true;
  default:
    return false;
  }
}

} // namespace confab::model
