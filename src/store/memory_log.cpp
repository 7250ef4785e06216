#include "store/memory_log.hpp"

#include <algorithm>

namespace confab::store {

log_head memory_conversation::head() const {
  if (gone)
    return {.gone = true};
  return {state(), settings, stream_seq, fork, ancestors, false, mirrored};
}

void memory_conversation::push(model::entry x) {
  if (!x.source_id.empty())
    source_ids[x.source_id].insert(x.at);
  x.form = model::form_of(settings.content_type);
  auto bytes = tail_bytes() + model::weight(x);
  entries.push_back({std::move(x), bytes});
}

void memory_conversation::take(const append& x, std::int64_t now_ms) {
  auto behind = tail().next();
  auto id = tail_id();
  for (const auto& entry : x.entries)
    push(entry);
  remember(x,
           x.entries.empty()
               ? model::receipt{behind, 0, id}
               : model::receipt{x.entries.front().at, static_cast<std::uint32_t>(x.entries.size()),
                                x.entries.front().id},
           now_ms);
  closed = closed || x.closes;
  if (!x.stream_seq.empty())
    stream_seq = x.stream_seq;
  if (x.expires_ms)
    settings.lifetime.expires_ms = x.expires_ms;
}

void memory_conversation::remember(const append& x, const model::receipt& got,
                                   std::int64_t now_ms) {
  if (x.producer.empty() || x.producer.front() == '~')
    return;
  bool key = x.producer.front() == '=';
  producer_row row;
  row.epoch = key ? 0 : x.producer_epoch;
  row.number = x.producer_seq;
  row.last = got;
  row.fingerprint = key ? x.fingerprint : 0;
  producers.insert_or_assign(x.producer, remembered{row, now_ms});
}

void memory_conversation::trim_to(model::seq next) {
  while (first < next) {
    const auto& oldest = entries.front();
    base_id = oldest.entry.id;
    base_bytes = oldest.bytes_through;
    if (auto places = source_ids.find(oldest.entry.source_id); places != source_ids.end()) {
      places->second.erase(first);
      if (places->second.empty())
        source_ids.erase(places);
    }
    entries.pop_front();
    first = first.next();
  }
}

memory_conversation* memory_log::find(const model::conversation_name& name) {
  auto found = by_name.find(name.text());
  return found == by_name.end() ? nullptr : &found->second;
}

memory_conversation* memory_log::living(const model::conversation_name& name, std::int64_t now_ms) {
  auto* found = find(name);
  return found == nullptr || found->gone || found->settings.lifetime.expired(now_ms) ? nullptr
                                                                                     : found;
}

void memory_log::remove(const std::string& name) {
  auto found = by_name.find(name);
  if (found->second.forks > 0) {
    found->second.gone = true;
    return;
  }
  auto origin = std::move(found->second.fork);
  by_name.erase(found);
  if (!origin)
    return;
  auto& source = by_name.at(origin->source);
  --source.forks;
  if (source.gone)
    remove(origin->source);
}

void memory_log::trim(const std::string& name, model::seq next) {
  auto& log = by_name.at(name);
  log.trim_to(next);
  if (log.forks == 0)
    return;
  for (auto& [fork_name, fork] : by_name)
    if (fork.fork && fork.fork->source == name)
      trim(fork_name, std::max(fork.first, std::min(next, fork.fork->at.next())));
}

} // namespace confab::store
