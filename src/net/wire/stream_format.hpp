// How a conversation looks as a stream: event-stream frames, and the pieces of bodies.
#pragma once

#include "model/run.hpp"

#include <span>

namespace confab::net::wire {

/// An entry is one `data` event, its payload as JSON array of one, lines of text, or base64; a
/// `control` event behind it tells the offset. An open-ended format, whose token is the cursor of
/// the reader.
[[nodiscard]] const model::wire_format& stream_format() noexcept;

/// Payloads behind those that are there: JSON ones between commas, others without anything.
void add_payloads(std::string& out, std::span<const model::entry> entries);

} // namespace confab::net::wire
