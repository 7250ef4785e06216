// The wire formats in use: WebSocket frames, EventSource events, and the JSON of HTTP answers.
#pragma once

#include "model/run.hpp"
#include "net/client.hpp"

namespace confab::net::wire {

/// DESIGN §10: one text frame per entry or mark.
[[nodiscard]] const model::wire_format& websocket_format() noexcept;
/// DESIGN §11: `id:` is the position; entries are unnamed events, marks named ones.
[[nodiscard]] const model::wire_format& event_stream_format() noexcept;

/// Appends one unmasked server frame (RFC 6455 §5.2), final and unfragmented.
void add_frame(std::string& out, std::string_view payload, unsigned char opcode = 1);

/// Appends a close frame; code 0: without one.
void add_close(std::string& out, std::uint16_t code, std::string_view reason);

/// The entry's members without braces: `"seq":42,"id":"…",…`.
void add_entry_members(std::string& out, const model::entry& x);

// Frames for one socket alone, appended to `out`, complete.

struct hello {
  std::string client, user;
  std::int64_t heartbeat_ms;
};
void add_hello(std::string& out, const hello& x);
void add_subscribed(std::string& out, const subscribed_event& x);
void add_unsubscribed(std::string& out, const unsubscribed_event& x);
void add_published(std::string& out, const published_event& x);
void add_acked(std::string& out, const acked_event& x);
void add_failed(std::string& out, const failed_event& x);
void add_pong(std::string& out, std::string_view ref);
void add_goodbye(std::string& out, std::string_view reason, std::int64_t reconnect_ms);

// Bodies of HTTP answers.

[[nodiscard]] std::string page_body(const page_event& x);
/// A page up to the `[` of its entries; `]}` ends it.
[[nodiscard]] std::string page_begin(const model::log_state& state, const model::start& after);
/// Entries with commas between them, behind `page_begin` or further ones.
void add_page_entries(std::string& out, std::span<const model::entry> entries);
[[nodiscard]] std::string info_body(const info_event& x);
[[nodiscard]] std::string list_body(const list_event& x);
[[nodiscard]] std::string cursor_body(const cursor_event& x);
/// One answer, or an array of one per draft.
[[nodiscard]] std::string receipt_body(const model::receipt& x, bool array);
/// The answer to one line of an NDJSON body.
[[nodiscard]] std::string line_receipt(std::uint64_t line, const model::receipt& x);
/// RFC 9457 `application/problem+json`.
[[nodiscard]] std::string problem_body(unsigned status, std::string_view title,
                                       const model::error& why);
/// What to do about an error, for a person.
[[nodiscard]] std::string_view help_of(model::code x) noexcept;
/// The HTTP status of an error.
[[nodiscard]] unsigned status_of(model::code x) noexcept;

/// What EventSource gets besides entries: `id:` alone, `retry:`, a comment.
void add_event_id(std::string& out, const model::position& x);
void add_event_error(std::string& out, const model::error& why);

} // namespace confab::net::wire
