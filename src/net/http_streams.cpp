// Questions about streams, carried out and answered (Durable Streams).
#include "net/http_connection.hpp"

namespace confab::net {

void http_connection::carry_out(stream_route& x) {
  std::visit([this](auto& y) { carry_out(y); }, x);
}

void http_connection::carry_out(ask_stream& x) {
  stream_ = std::move(x.how);
  port().tell(std::move(x.what));
}

void http_connection::carry_out(needs_stream_body&) {
  refuse({model::code::bad_request, "body: is missing"});
}

void http_connection::answer_stream(const event& x) {
  if (const auto* c = std::get_if<created_event>(&x)) {
    answer(answer_created(*stream_, *c));
  } else if (const auto* p = std::get_if<published_event>(&x)) {
    answer(answer_appended(*stream_, *p));
  } else if (const auto* i = std::get_if<info_event>(&x)) {
    answer(answer_info(*i));
  } else if (const auto* g = std::get_if<page_event>(&x)) {
    stream_reading found{g->held->state, g->settings, g->after};
    found.add(g->held->entries);
    answer(std::move(found));
  } else if (std::get_if<deleted_event>(&x)) {
    answer(204, {}, {});
  } else if (const auto* f = std::get_if<failed_event>(&x)) {
    refuse(f->why, 0, refusal_fields(*stream_, *f));
  }
}

void http_connection::answer(stream_reading x) {
  if (auto why = x.refusal(*stream_))
    return refuse(*why, 0, x.refusal_fields(*why));
  answer(x.answer(*stream_, io_thread::wall_ms()));
}

} // namespace confab::net
