#include "model/copying.hpp"

#include <algorithm>

namespace confab::model {

namespace {

std::string_view to_string(gap_reason x) noexcept {
  switch (x) {
  case gap_reason::trimmed:
    return "trimmed";
  case gap_reason::lost:
    return "lost";
  case gap_reason::too_large:
    return "too_large";
  }
  return "lost";
}

/// What is missing in front of the next entry, if something is.
std::optional<draft> gap_before(const copy_progress& x, const stream_facts& now,
                                std::uint64_t missing, bool import_all) {
  if (x.restarts)
    return gap_draft(gap_reason::lost, std::nullopt, x.stored ? x.stored->id : entry_id{});
  if (missing == 0)
    return std::nullopt;
  if (x.stored)
    return gap_draft(gap_reason::trimmed, missing, x.at.id);
  if (import_all)
    return gap_draft(gap_reason::trimmed, missing, {});
  // What was there before this log was bridged is not missing; if the first one came afterwards,
  // nobody knows how many of those before it did.
  if (now.first > x.at.id)
    return gap_draft(gap_reason::trimmed, std::nullopt, {});
  return std::nullopt;
}

} // namespace

copy_step next_step(const copy_progress& x, const stream_facts& now, bool shown, bool import_all) {
  auto next = continue_behind(x.at, now);
  if (next.what == continuation::kind::lost)
    return {.begins_anew = true, .at = {}, .gap = {}};
  copy_step step{
      .begins_anew = false, .at = x.at, .gap = gap_before(x, now, next.missing, import_all)};
  if (!now.holds_last)
    step.at.place = place_before(now);
  if (!shown && (step.gap || x.owes_gap))
    step.at = {now.added, now.last_generated};
  return step;
}

std::uint64_t place_before(const stream_facts& now) noexcept {
  // A count that was set by hand may be anything.
  return now.added < now.behind ? 0 : now.added - now.behind;
}

continuation continue_behind(const stream_place& last, const stream_facts& now) {
  using kind = continuation::kind;
  auto before = place_before(now);
  // Another stream may hold an entry of the same id, nearer to its beginning.
  if (now.holds_last)
    return {before < last.place ? kind::lost : kind::whole, 0};
  auto missing = before - std::min(before, last.place);
  if (last.place > 0) {
    auto went_back = now.last_generated < last.id || before < last.place;
    // Older entries are there and it is not: trimming removes the oldest first, so only XDEL is
    // left.
    auto hole = now.first != entry_id{} && now.first < last.id && now.deleted < last.id;
    if (went_back || hole)
      return {kind::lost, 0};
  }
  return missing == 0 ? continuation{} : continuation{kind::trimmed, missing};
}

draft gap_draft(gap_reason why, std::optional<std::uint64_t> missing, entry_id after) {
  draft made;
  made.kind = gap_kind;
  made.payload = R"({"missing":)";
  made.payload += missing ? std::to_string(*missing) : "null";
  made.payload.append(R"(,"reason":")").append(to_string(why)).append("\"");
  if (after != entry_id{})
    made.payload.append(R"(,"after":")").append(model::to_string(after)).append("\"");
  made.payload += '}';
  return made;
}

} // namespace confab::model
