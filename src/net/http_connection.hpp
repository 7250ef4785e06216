// HTTP/1.1 on one connection: requests are read, carried out and answered one at a time, in order.
//
//   head ──> body ──> answering ──> head …        (keep-alive; what is pipelined waits in `in_`,
//   bounded)
//     │        └────> lines ─────────┘            (NDJSON: appended while it arrives)
//     └─> leaving (WebSocket, EventSource)   any ──> closing (the peer's last bytes are read, then
//     the end)
//
// All that is due happens in `turn`, right before the outlet's flush; so a connection whose peer
// does not read makes no progress, and holds at most one answer.
#pragma once

#include "net/http_route.hpp"
#include "net/line_appends.hpp"
#include "net/socket_member.hpp"
#include "net/stream_answer.hpp"

namespace confab::net {

class http_connection final : public socket_member {
public:
  http_connection(tcp_socket socket, io_thread& thread, admission place)
    : socket_member{std::move(socket), thread, std::move(place)} {}

  void start() { listen(); }
  void take(event& x) override;
  std::int64_t due(std::int64_t now_ms) override;
  void drain(std::int64_t reconnect_ms) override;
  void failed(model::follower& x, const model::error& why) override;

private:
  enum class stage : std::uint8_t { head, body, lines, answering, leaving, closing };

  // Reading.

  void listen();
  void readable();
  void end_of_input();
  void turn() override;
  void flushed() override;
  [[nodiscard]] std::string_view rest() const noexcept { return std::string_view{in_}.substr(at_); }
  /// Nothing waits to leave.
  [[nodiscard]] bool clear() const noexcept { return backlog() == 0 && !blocked(); }
  /// One step of the request in progress. @returns whether another one may follow now.
  bool step();
  bool take_head();
  bool begin_body(const body_framing& framing);
  bool take_body();
  bool take_lines();
  void carry_out();

  // Each carries out one decision of the route.

  void carry_out(ask_backend& x);
  void carry_out(answer_page& x) { answer(200, x.type, x.bytes); }
  void carry_out(answer_health&) { answer(200, "application/json", R"({"status":"ok"})"); }
  void carry_out(answer_readiness&);
  void carry_out(answer_metrics&);
  void carry_out(upgrade_to_websocket&);
  void carry_out(follow_as_events&) { stage_ = stage::leaving; }
  void carry_out(wait_for_entries& x);
  void carry_out(append_lines& x);
  void carry_out(needs_body&);
  void carry_out(answer_options& x);
  void carry_out(answer_events_head&);
  void carry_out(stream_route& x);
  void carry_out(ask_stream& x);
  void carry_out(wait_on_stream& x);
  void carry_out(follow_stream&) { stage_ = stage::leaving; }
  void carry_out(needs_stream_body&);
  void carry_out(refuse_stream& x) { refuse(x.why, x.status); }
  void carry_out(refuse_request& x);
  void leave();

  // Answering.

  void answer(unsigned status, std::string_view type, std::string_view body,
              std::string_view fields = {}, std::string_view cache = "no-store");
  void answer(const stream_answer& x) { answer(x.status, x.type, x.body, x.fields, x.cache); }
  void refuse(const model::error& why, unsigned status = 0, std::string_view fields = {});
  /// Refuses what cannot be read on.
  void refuse_and_close(const model::error& why, unsigned status);
  [[nodiscard]] std::string begin(unsigned status, std::string_view type, std::string_view fields,
                                  std::string_view cache = "no-store");
  void answered();
  void answer_stream(const event& x);
  void answer(stream_reading x);

  // A request for entries that waits for them: a follower until there is one.

  struct poll {
    std::string ref;
    std::size_t limit;
    std::int64_t deadline_ms;
    model::follower* who = nullptr;
    model::start after = {};
    /// With a stream.
    model::settings settings = {};
    bool was_reset = false;
  };
  void try_poll();
  void skip(const model::step& reset);
  void answer_poll(const model::run_ptr& first);
  void end_poll();

  void tell_receipts();
  void finish_lines();

  // Time.

  [[nodiscard]] std::int64_t deadline(std::int64_t now_ms) const;
  void expire();

  client_port& port();
  [[nodiscard]] const session_limits& limits() const { return thread_.shared().limits; }

  /// Bytes of requests that were not looked at yet begin at `at_`.
  std::string in_;
  std::size_t at_ = 0;
  head_finder finder_;
  body_decoder body_;
  http_request request_;
  http_route route_ = answer_health{};
  std::optional<line_appends> lines_;
  std::optional<poll> poll_;
  /// What was asked about a stream.
  std::optional<stream_question> stream_;
  std::uint64_t polls_ = 0;

  stage stage_ = stage::head;
  /// Since when the stage, or the line of an NDJSON body, lasts.
  std::int64_t since_ms_ = io_thread::now_ms();
  std::int64_t last_input_ms_ = since_ms_;
  std::uint64_t seen_lines_ = 0;
  std::size_t body_bytes_ = 0;
  std::int64_t stalled_since_ms_ = 0;
  std::size_t stalled_bytes_ = 0;
  /// When `due` is needed; earlier questions are left-overs.
  std::int64_t scheduled_ms_ = 0;
  bool array_ = false;
  bool keep_ = true;       ///< The connection goes on behind this answer.
  bool begun_ = false;     ///< Bytes of the next head have come.
  bool served_ = false;    ///< A request was answered, so that silence may take its time.
  bool streaming_ = false; ///< The head of a chunked answer has left.
  bool waiting_ = false;   ///< For input.
  bool paused_ = false;    ///< Until what was answered has left.
  bool peer_done_ = false; ///< The peer sends nothing more.
  bool shut_ = false;
  bool draining_ = false;
};

} // namespace confab::net
