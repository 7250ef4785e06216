// What an entry of a Redis stream becomes in a conversation's log (DESIGN §8, §10).
#pragma once

#include "model/copying.hpp"
#include "model/stream_entry.hpp"

namespace confab::actors {

/// The draft of a copy. Where payloads are JSON: valid JSON text as it is, other UTF-8 as a JSON
/// string, else `{"base64":…}`; elsewhere the bytes as they are. Without a payload it is `null`.
/// A sender, kind or message that no client could have sent is left out. One whose payload no page
/// could hold, or `store::too_large_field`, becomes a `gap`.
[[nodiscard]] model::draft copy_of(const model::stream_entry& x, model::payload_form form);

} // namespace confab::actors
