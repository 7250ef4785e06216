// The part of the witness that looks at `subscribed`: does the replay start where it was asked to?
#include "simulation/witness.hpp"

#include <algorithm>

namespace confab::test {

void witness::subscribed(const json& x, const std::string& name) {
  auto* q = answered(x, question::kind::subscribe, name);
  if (q == nullptr)
    return;
  auto& v = views_[name];
  v = {.active = true,
       .asked = v.asked,
       .epoch = x["epoch"].get<std::string>(),
       .at = {},
       .id = {},
       .candidates = {}};
  started(x, name, *q, v);
}

void witness::started(const json& x, const std::string& name, const question& by, view& v) {
  const auto* log = truth_.find(name, v.epoch);
  auto first = x["first"].get<std::uint64_t>();
  auto last = x["last"].get<std::uint64_t>();
  auto after = x["after"].get<std::uint64_t>();
  v.at = {after};
  auto unread = last > after ? last - after : 0;
  if (x["unread"].get<std::uint64_t>() != unread)
    return wrong(name, "counts the unread wrongly: " + x.dump());
  if (v.epoch.empty()) {
    if (first != 1 || last != 0 || (by.log != nullptr && by.log->deleted_at == 0))
      return wrong(name, "does not know the log that is there: " + x.dump());
  } else if (log == nullptr || (log->deleted_at != 0 && log->deleted_at < by.moment) ||
             last > log->tail().value || first > log->first.value) {
    return wrong(name, "describes another log than is there: " + x.dump());
  }
  using form = model::after::form;
  const auto& from = by.from.from;
  auto must_be = [&](std::uint64_t expected) {
    if (after != expected)
      wrong(name, "starts after " + std::to_string(after) + " instead of " +
                      std::to_string(expected) + ": " + x.dump());
  };
  switch (from.what) {
  case form::start:
    return must_be(first - 1);
  case form::now:
    return must_be(last);
  case form::last:
    return must_be(last - std::min(from.count, last - (first - 1)));
  case form::saved: {
    const auto& now = *by.cursor_now;
    auto confirmed = by.cursor.epoch == v.epoch ? by.cursor.confirmed : 0;
    auto sent = now.epoch == v.epoch ? now.sent : 0;
    if (after > 0 && after >= confirmed && after <= sent)
      return;
    // A deletion takes the cursors with it.
    auto kept = confirmed > 0 && log != nullptr && log->deleted_at == 0;
    return must_be(kept ? confirmed : first - 1);
  }
  case form::id: {
    if (log == nullptr)
      return must_be(0);
    // Right behind the last entry whose id is not beyond; before it only if retention took what is
    // between.
    auto behind =
        std::upper_bound(log->entries.begin(), log->entries.end(), from.id,
                         [](model::entry_id y, const model::entry& e) { return y < e.id; });
    auto place = static_cast<std::uint64_t>(behind - log->entries.begin());
    auto seen = log == by.log ? std::min(place, by.tail.value) : 0;
    if (after > place)
      wrong(name, "skips entries behind the id, and does not say so: " + x.dump());
    else if (after < seen && v.at.next() >= log->first)
      wrong(name, "does not start after the id: " + x.dump());
    return;
  }
  case form::seq:
    return resumed(by, log, name, v);
  }
}

void witness::resumed(const question& by, const incarnation* log, const std::string& name,
                      view& v) {
  auto at = by.from.from.at;
  if (at == model::seq{}) {
    if (v.at != model::seq{})
      wrong(name, "starts after " + std::to_string(v.at.value) + " instead of 0");
    return;
  }
  // Whether the position is of another log for sure, or surely of this one; between the two, it
  // depends on when somebody looked.
  const auto* held = log == nullptr ? nullptr : log->at(at);
  auto other_id = held != nullptr && by.from.id && held->id != *by.from.id;
  auto other = log == nullptr || (by.from.epoch && by.from.epoch->text != v.epoch) ||
               held == nullptr || (other_id && at >= log->first);
  auto same = !other && !other_id && log == by.log && at <= by.tail;
  v.reset_due = v.at != at;
  if (v.at != at && v.at != model::seq{})
    wrong(name, "starts neither at the position nor anew");
  if (other && !v.reset_due)
    wrong(name, "goes on behind a position of another log");
  if (same && v.reset_due)
    wrong(name, "starts anew, though the position is of this log");
  if (!v.reset_due && by.from.id && !other_id)
    v.id = *by.from.id;
}

} // namespace confab::test
