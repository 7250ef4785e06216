#include "store/creation_rules.hpp"

#include <algorithm>

namespace confab::store {

namespace {

bool holds_json(const log_head& log) {
  return model::form_of(log.settings.content_type) == model::payload_form::json;
}

/// Whether a position of this epoch at `at` is one of the log.
bool of_this_log(const log_head& log, const model::epoch& epoch, model::seq at) {
  return epoch.empty() || epoch == log.state.epoch || at == model::seq{} ||
         std::any_of(log.ancestors.begin(), log.ancestors.end(),
                     [&](const model::ancestor& x) { return x.epoch == epoch && at <= x.through; });
}

bool same_fork(const log_head& log, const std::optional<model::fork_point>& asked) {
  if (!asked || !log.fork)
    return !asked && !log.fork;
  if (log.fork->source != asked->source.text())
    return false;
  // Without a place any will do: the source has gone on since.
  if (!asked->at)
    return asked->beyond == log.fork->cut_bytes;
  if (holds_json(log))
    return asked->at->at.value + asked->beyond == log.fork->at.value;
  return asked->at->at == log.fork->at && asked->beyond == log.fork->cut_bytes;
}

bool same_lifetime(const model::lifetime& log, const model::creation& asked) {
  const auto& wanted = asked.lifetime;
  if (asked.fork && !wanted.ttl_s && !wanted.expires_ms)
    return true; // it has what its source had
  if (log.ttl_s != wanted.ttl_s)
    return false;
  return log.ttl_s || log.expires_ms == wanted.expires_ms;
}

model::error no_such_place(const std::string& what) {
  return {model::code::bad_request, "fork: " + what};
}

} // namespace

model::result<fork_origin> fork_origin_of(const model::fork_point& asked, const log_head& source) {
  const auto& name = asked.source.text();
  if (source.gone)
    return model::error{model::code::conflict, "fork: the source " + name + " was deleted"};
  if (source.state.epoch.empty())
    return model::error{model::code::not_found, "fork: the source " + name + " does not exist"};
  if (source.ancestors.size() >= fork_depth_max)
    return model::error{model::code::conflict, "fork: the source is itself a fork of " +
                                                   std::to_string(fork_depth_max) +
                                                   " logs, as many as there may be"};
  auto at = asked.at ? asked.at->at : source.state.tail;
  if (asked.at && !of_this_log(source, asked.at->epoch, at))
    return no_such_place("the place is of another log than " + name);
  auto tail = source.state.tail;
  bool fits =
      at <= tail && (asked.beyond == 0 ||
                     (holds_json(source) ? asked.beyond <= tail.value - at.value : at < tail));
  if (!fits)
    return no_such_place("the place is beyond the end of " + name + ", " +
                         std::to_string(tail.value));
  auto cut = asked.beyond;
  if (holds_json(source)) {
    at.value += cut;
    cut = 0;
  }
  if (at.next() < source.state.first)
    return no_such_place("retention has removed the place; the first entry of " + name + " is " +
                         std::to_string(source.state.first.value));
  return fork_origin{name, at, cut};
}

model::result<model::settings> settings_of(const model::creation& asked, const log_head* source,
                                           std::int64_t now_ms) {
  model::settings made{asked.content_type, asked.lifetime};
  if (made.content_type.empty())
    made.content_type =
        source != nullptr ? source->settings.content_type : std::string{model::json_content_type};
  if (!model::valid_content_type(made.content_type))
    return model::error{model::code::bad_request,
                        "content type: must be type/subtype, perhaps with parameters, of at most " +
                            std::to_string(model::content_type_bytes_max) + " bytes"};
  if (source != nullptr &&
      !model::same_content_type(made.content_type, source->settings.content_type))
    return model::error{model::code::content_type, "fork: the source holds payloads of " +
                                                       source->settings.content_type + ", not of " +
                                                       made.content_type};
  auto& life = made.lifetime;
  if (life.ttl_s && life.expires_ms)
    return model::error{model::code::bad_request, "lifetime: a ttl or a deadline, not both"};
  if (source != nullptr && !life.ttl_s && !life.expires_ms)
    life = source->settings.lifetime;
  if (life.ttl_s) {
    life.expires_ms.reset();
    life.expires_ms = life.renewed(now_ms);
  }
  return made;
}

std::optional<model::error> refuse_existing(const model::conversation_name& name,
                                            const log_head& log, const model::creation& asked) {
  auto refuse = [&](const std::string& what) {
    return model::error{model::code::conflict,
                        "conversation " + name.text() + " exists with another " + what};
  };
  auto any_type = asked.content_type.empty() && asked.fork;
  auto wanted =
      asked.content_type.empty() ? model::json_content_type : std::string_view{asked.content_type};
  if (!any_type && !model::same_content_type(wanted, log.settings.content_type))
    return refuse("content type, " + log.settings.content_type);
  if (!same_lifetime(log.settings.lifetime, asked))
    return refuse("ttl or deadline");
  if (asked.closed != (log.state.life == model::lifecycle::closed))
    return refuse(asked.closed ? "state: it is open" : "state: it is closed");
  if (!same_fork(log, asked.fork))
    return refuse("origin");
  return std::nullopt;
}

model::result<model::entry> cut_copy(const model::entry* of, std::uint64_t bytes) {
  if (of == nullptr || bytes > of->payload.size())
    return no_such_place("the next entry has fewer than " + std::to_string(bytes) + " bytes");
  auto copy = *of;
  copy.payload.resize(bytes);
  // A number counts in the log that its producer sent it to.
  copy.producer.clear();
  copy.producer_seq = 0;
  copy.source_id.clear();
  return copy;
}

std::vector<model::entry> placed(std::span<const model::draft> drafts, model::seq tail,
                                 model::entry_id tail_id, std::int64_t now_ms) {
  std::vector<model::entry> entries;
  entries.reserve(drafts.size());
  auto id = model::next_id(tail_id, now_ms);
  for (const auto& x : drafts) {
    auto& made = entries.emplace_back();
    made.at = tail = tail.next();
    made.id = id;
    ++id.n;
    made.time_ms = now_ms;
    made.sender = x.sender;
    made.kind = x.kind;
    made.payload = x.payload;
    made.message = x.message;
    made.source_id = x.source_id;
  }
  return entries;
}

} // namespace confab::store
