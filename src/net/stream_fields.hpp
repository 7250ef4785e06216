// What the header fields and the query of a request to `/v1/stream/{name}` mean (Durable Streams).
#pragma once

#include "model/creation.hpp"
#include "model/resume.hpp"
#include "net/http_head.hpp"

namespace confab::net {

inline constexpr std::string_view stream_path = "/v1/stream/";

/// `Stream-Closed: true`; any other value is as none.
[[nodiscard]] bool closing_field(const http_request& x);

/// `Stream-TTL` (whole seconds, plain decimal) or `Stream-Expires-At` (RFC 3339), or neither.
/// Errors: `bad_request`.
[[nodiscard]] model::result<model::lifetime> lifetime_fields(const http_request& x);

/// `Stream-Seq`; empty: there is none. Errors: `bad_request`.
[[nodiscard]] model::result<std::string> stream_seq_field(const http_request& x);

struct stream_producer {
  std::string id;
  std::uint32_t epoch = 0;
  std::uint64_t number = 0;
};
/// `Producer-Id`, `Producer-Epoch` and `Producer-Seq`: all three or none. Errors: `bad_producer`.
[[nodiscard]] model::result<std::optional<stream_producer>> producer_fields(const http_request& x);

/// `Stream-Forked-From` (the source's path), `Stream-Fork-Offset` and `Stream-Fork-Sub-Offset`.
/// Errors: `bad_request`, `bad_name`.
[[nodiscard]] model::result<std::optional<model::fork_point>> fork_fields(const http_request& x);

/// An offset of the query: `-1`, `now`, or one that the server sent; the zero offset of other
/// servers is the beginning. Errors: `bad_after`.
[[nodiscard]] model::result<model::resume_request> parse_offset(std::string_view text);

/// A cursor that the server sent; another text is as none.
[[nodiscard]] std::optional<std::uint64_t> parse_cursor(std::string_view text);

/// The cursor of an answer: the number of the current interval of 20 seconds, or if the reader's
/// own is not below it, one beyond that by up to an hour. Readers that wait for the same data ask
/// with the same cursor, and a cache between can answer them together, but not for ever.
[[nodiscard]] std::uint64_t next_cursor(std::optional<std::uint64_t> own, std::int64_t now_ms);

/// Whether an `If-None-Match` names the tag, by weak comparison (RFC 9110 §13.1.2).
[[nodiscard]] bool names_etag(std::string_view if_none_match, std::string_view etag);

} // namespace confab::net
