#include "store/commit_rules.hpp"

#include <algorithm>
#include <random>

namespace confab::store {

namespace {

model::error about(const model::conversation_name& name, model::code what, const std::string& why) {
  return {what, "conversation " + name.text() + ": " + why};
}

} // namespace

std::optional<model::error> refuse_chain(const log_head& log, const chain& offered) {
  if (log.gone)
    return gone(offered.name);
  if (log.state.epoch != offered.epoch)
    return about(offered.name, model::code::moved,
                 "the log's epoch is '" + log.state.epoch.text + "', not '" + offered.epoch.text +
                     "'");
  if (log.state.epoch.empty())
    return std::nullopt;
  if (log.state.life == model::lifecycle::closed)
    return about(offered.name, model::code::closed, "is closed and takes no more entries");
  if (!model::same_content_type(log.settings.content_type, offered.content_type))
    return about(offered.name, model::code::content_type,
                 "holds payloads of " + log.settings.content_type + ", not of " +
                     offered.content_type);
  return std::nullopt;
}

std::optional<model::error> refuse_append(const log_head& log, const model::conversation_name& name,
                                          const append& offered) {
  if (log.state.life == model::lifecycle::closed)
    return about(name, model::code::closed, "is closed and takes no more entries");
  if (!offered.stream_seq.empty() && offered.stream_seq <= log.stream_seq)
    return about(name, model::code::stream_seq, "a later Stream-Seq was taken already");
  if (offered.entries.empty()) {
    if (!offered.closes || log.state.epoch.empty())
      return about(name, model::code::store_failed, "an append without entries");
    return std::nullopt;
  }
  if (offered.entries.front().at != log.state.tail.next())
    return about(name, model::code::moved,
                 "the next seq is " + std::to_string(log.state.tail.value + 1) + ", not " +
                     std::to_string(offered.entries.front().at.value));
  auto at = log.state.tail;
  auto id = log.state.tail_id;
  for (const auto& x : offered.entries) {
    if (x.at != at.next() || x.at > model::seq_max)
      return about(name, model::code::store_failed,
                   "seq " + std::to_string(x.at.value) + " cannot follow " +
                       std::to_string(at.value));
    if (x.id <= id)
      return about(name, model::code::store_failed,
                   "the id " + to_string(x.id) + " of seq " + std::to_string(x.at.value) +
                       " is not beyond " + to_string(id));
    at = x.at;
    id = x.id;
  }
  return std::nullopt;
}

std::optional<model::error> refuse_copies(const std::optional<model::stream_place>& copied,
                                          const model::conversation_name& name,
                                          const model::copy_range& offered) {
  if (copied == offered.after)
    return std::nullopt;
  auto text = [](const std::optional<model::stream_place>& x) {
    return x ? "at place " + std::to_string(x->place) + ", " + to_string(x->id)
             : std::string{"nowhere yet"};
  };
  return about(name, model::code::conflict,
               "the copies from its stream end " + text(copied) + ", not " + text(offered.after));
}

model::error not_found(const model::conversation_name& name) {
  return about(name, model::code::not_found, "does not exist");
}

model::error gone(const model::conversation_name& name) {
  return about(name, model::code::gone,
               "was deleted; its entries are kept for its forks, and its name until the last of "
               "them is gone");
}

model::error name_taken(const model::conversation_name& name) {
  auto why = gone(name);
  why.what = model::code::conflict;
  return why;
}

std::vector<model::ancestor> ancestors_of(const log_head& source, model::seq at) {
  auto all = source.ancestors;
  for (auto& x : all)
    x.through = std::min(x.through, at);
  all.push_back({source.state.epoch, at});
  return all;
}

model::log_state believed(const chain& offered) {
  model::log_state state;
  state.epoch = offered.epoch;
  if (!offered.appends.empty() && !offered.appends.front()->entries.empty() &&
      offered.appends.front()->entries.front().at.value > 0)
    state.tail = {offered.appends.front()->entries.front().at.value - 1};
  return state;
}

std::string random_epoch() {
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::random_device source;
  std::uniform_int_distribution<std::size_t> pick{0, letters.size() - 1};
  std::string text(10, ' ');
  for (auto& c : text)
    c = letters[pick(source)];
  return text;
}

bool outlived(std::int64_t time_ms, std::int64_t ttl_s, std::int64_t now_ms) noexcept {
  return time_ms < now_ms - ttl_s * 1000;
}

bool extend_receipt(std::optional<model::receipt>& found, model::seq at, model::entry_id id) {
  if (found && (at.next() != found->first || id.ms != found->id.ms || id.n + 1 != found->id.n))
    return false;
  found = model::receipt{at, found ? found->count + 1 : 1, id, true};
  return true;
}

} // namespace confab::store
