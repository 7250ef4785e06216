// What header fields of a request mean: media types, Accept, Idempotency-Key, origins.
#pragma once

#include "net/http_head.hpp"
#include "net/io_thread.hpp"

namespace confab::net {

/// The media type of a Content-Type, without its parameters.
[[nodiscard]] std::string_view media_type(std::string_view content_type) noexcept;

/// Whether an Accept lets an answer be of this type, e.g. "application/json"; an absent one takes
/// all.
[[nodiscard]] bool accepts(std::string_view accept, std::string_view type);

/// As `accepts`, but only if the type itself is named: `*/*` does not ask for it.
[[nodiscard]] bool asks_for(std::string_view accept, std::string_view type);

/// The key of an `Idempotency-Key` field; empty: there is none. A string in quotes (the IETF
/// draft's form), or the bare text that many clients send. Errors: `bad_producer`.
[[nodiscard]] model::result<std::string> idempotency_key(const http_request& x);

/// A page of another site, opened in the same browser: it may not write here, nor open a WebSocket.
[[nodiscard]] bool foreign_origin(const http_request& x, const session_limits& limits);

/// Header lines for an answer to a page of `net.origins`; empty without such an option.
[[nodiscard]] std::string cors_fields(const http_request& x, const session_limits& limits);

/// Whether an OPTIONS is a browser's question before another request.
[[nodiscard]] bool preflight(const http_request& x);

} // namespace confab::net
