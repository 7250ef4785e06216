#include "net/stream_session.hpp"

#include "net/stream_answer.hpp"
#include "net/streaming_session.hpp"
#include "net/wire/stream_format.hpp"

namespace confab::net {

namespace {

/// The protocol's advice, so that caches between can join new readers.
constexpr std::int64_t connection_ms = 60'000;

class stream_session final : public streaming_session {
public:
  stream_session(tcp_socket socket, io_thread& thread, admission place,
                 std::optional<std::uint64_t> cursor)
    : streaming_session{std::move(socket), thread, std::move(place)}, cursor_{cursor} {}

private:
  void begin(const subscribed_event& e) override {
    stream_reading read{e.state, e.settings, e.from};
    if (auto why = read.refusal({.what = stream_question::kind::read, .at_offset = true}))
      return refuse(*why, read.refusal_fields(*why));
    auto encoded = model::form_of(e.settings.content_type) == model::payload_form::bytes;
    post_begin("no-cache", encoded ? "Stream-SSE-Data-Encoding: base64\r\n" : "", {});
    follower_ = &follow(e, wire::stream_format());
    follower_->token = next_cursor(cursor_, io_thread::wall_ms());
  }

  void turn() override { end_at_reset(); }
  void flushed() override {
    end_at_reset();
    streaming_session::flushed();
  }

  /// What comes is not behind what the reader has: it connects again, and is told.
  void end_at_reset() {
    if (follower_ && follower_->sub.next(*follower_->from).what == model::step::kind::reset)
      end();
  }

  /// The end of the connection says it; the reader asks again, and is answered by an error.
  void say_failed(const model::error&) override {}

  [[nodiscard]] std::int64_t lasts_ms() const override { return connection_ms; }

  std::optional<std::uint64_t> cursor_;
};

} // namespace

void serve_stream(tcp_socket socket, io_thread& thread, admission place, follow_stream what,
                  std::string fields) {
  auto session =
      std::make_shared<stream_session>(std::move(socket), thread, std::move(place), what.cursor);
  thread.hub().add(session);
  session->start({{}, std::move(what.name), what.from, true}, std::move(fields));
}

} // namespace confab::net
