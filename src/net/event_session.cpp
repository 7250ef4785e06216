#include "net/event_session.hpp"

#include "net/streaming_session.hpp"
#include "net/wire/formats.hpp"

#include <random>

namespace confab::net {

namespace {

/// A browser waits so long before it connects again; spread, so that a restart does not bring all
/// at once.
std::int64_t retry_ms() {
  thread_local std::minstd_rand random{std::random_device{}()};
  return std::uniform_int_distribution<std::int64_t>{1000, 3000}(random);
}

class event_session final : public streaming_session {
public:
  using streaming_session::streaming_session;

private:
  void begin(const subscribed_event& e) override {
    if (e.state.life == model::lifecycle::closed && e.from.at >= e.state.tail) {
      post_empty(204);
      return end();
    }
    auto first = "retry: " + std::to_string(retry_ms()) + '\n';
    wire::add_event_id(first, {e.state.epoch, e.from.at,
                               e.from.at == e.state.tail ? e.state.tail_id : model::entry_id{}});
    post_begin("no-store", {}, first);
    follower_ = &follow(e, wire::event_stream_format());
  }

  void say_failed(const model::error& why) override {
    std::string out;
    wire::add_event_error(out, why);
    post(out);
  }

  void say_drained(std::int64_t reconnect_ms) override {
    post("retry: " + std::to_string(reconnect_ms) + "\n\n");
  }
};

} // namespace

void serve_events(tcp_socket socket, io_thread& thread, admission place, event_request what) {
  auto session = std::make_shared<event_session>(std::move(socket), thread, std::move(place));
  thread.hub().add(session);
  session->start({{}, std::move(what.name), what.from}, std::move(what.fields));
}

} // namespace confab::net
