#include "model/resume.hpp"

#include <algorithm>
#include <cassert>
#include <charconv>

namespace confab::model {

namespace {

std::optional<std::uint64_t> parse_seq(std::string_view text) {
  std::uint64_t value = 0;
  auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{} || end != text.data() + text.size() || value > seq_max.value)
    return std::nullopt;
  return value;
}

bool shared(const sighting& seen, const epoch& of, seq at) {
  return std::any_of(seen.ancestors.begin(), seen.ancestors.end(),
                     [&](const ancestor& x) { return x.epoch == of && at <= x.through; });
}

resume_request from(after x) {
  return {.from = x, .epoch = std::nullopt, .id = std::nullopt};
}

} // namespace

result<resume_request> parse_after(std::string_view text) {
  using form = after::form;
  if (text == "start")
    return from({.what = form::start});
  if (text == "now")
    return from({.what = form::now});
  if (text == "saved")
    return from({.what = form::saved});
  if (text.starts_with("last:"))
    if (auto count = parse_seq(text.substr(5)))
      return from({.what = form::last, .count = *count});
  if (auto at = parse_seq(text))
    return from({.what = form::seq, .at = {*at}});
  if (auto id = parse_entry_id(text))
    return from({.what = form::id, .id = *id});
  if (auto x = parse_position(text)) {
    auto result = from({.what = form::seq, .at = x->at});
    if (!x->epoch.empty())
      result.epoch = x->epoch;
    if (x->id != entry_id{})
      result.id = x->id;
    return result;
  }
  return error{code::bad_after,
               "after: must be a seq (0 to 2^53-1), an id such as "
               "\"1698249600123-0\", \"start\", \"now\", \"last:N\", \"saved\", or a "
               "position that the server sent"};
}

lookup needed(const resume_request& x, const log_state& known) noexcept {
  using form = after::form;
  const auto& a = x.from;
  if (a.what == form::id)
    return known.epoch.empty() ? lookup::none : lookup::id;
  if (a.what != form::seq || a.at == seq{} || known.epoch.empty())
    return lookup::none;
  // Perhaps it is a fork's, and the position one in its source.
  if (x.epoch && *x.epoch != known.epoch)
    return lookup::seq;
  if (a.at > known.tail)
    return lookup::seq;
  if (!x.id || (a.at == known.tail && known.tail_id == *x.id) || a.at < known.first)
    return lookup::none;
  return lookup::seq;
}

start resolve(const resume_request& x, const log_state& known, const sighting* seen) {
  using form = after::form;
  const start other_log{.at = {}, .reset = reset_reason::epoch};
  const auto& a = x.from;
  switch (a.what) {
  case form::start:
    return {.at = {known.first.value - 1}};
  case form::now:
    return {.at = known.tail};
  case form::last: {
    auto before_first = known.first.value - 1;
    auto held = known.tail.value - before_first;
    return {.at = {known.tail.value - std::min(a.count, held)}};
  }
  case form::id:
    // Nothing at or before that id is known any more: whatever retention removed may have come
    // behind it, and the reset that follows says so.
    return {.at = seen && seen->found ? seen->found->at : seq{}};
  case form::saved:
    assert(false);
    return {};
  case form::seq:
    break;
  }
  if (a.at == seq{})
    return {};
  auto foreign = known.epoch.empty() || (x.epoch && *x.epoch != known.epoch);
  if (foreign && !(seen && x.epoch && shared(*seen, *x.epoch, a.at)))
    return other_log;
  if (!seen)
    return {.at = a.at};
  if (a.at > seen->state.tail)
    return other_log;
  if (x.id && seen->found && seen->found->id != *x.id)
    return other_log;
  return {.at = a.at};
}

} // namespace confab::model
