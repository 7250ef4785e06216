// What the actors of a node count, for `/metrics`. docs/operations.md says what each is good for.
#pragma once

#include "model/counter.hpp"

namespace confab::actors {

/// Outlives all actors; each adds what it does, at most once for a batch.
struct counters {
  // Of conversations and connections.
  model::counter published_entries, published_bytes;
  model::counters_by_code<model::counter> refused_appends;

  // Of the writer.
  model::counter commits, commit_us;
  /// Looks at logs to which others may have added.
  model::counter looks;

  // Of the bridge: pointers.
  model::counter pointers_read, pointers_acknowledged, pointers_refused, pointers_claimed;
  model::level pointers_under_way;
  model::counter pointers_trimmed, consumers_removed;

  // Of the copier. A rest is a failure after which a stream is left alone for a while.
  model::counter copied_entries, copied_gaps, copy_conflicts, copy_rests;

  // Of the mirror. Behind are logs that Redis does not have whole.
  model::counter mirrored_entries, mirror_rests;
  model::level mirrors_behind;

  // Of links to other nodes: what was sent.
  model::counter link_frames, link_bytes, link_announcements, link_drafts;

  // Of Pub/Sub.
  model::counter heard, spoken, unspoken;
};

} // namespace confab::actors
