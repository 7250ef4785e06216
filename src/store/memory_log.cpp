#include "store/memory_log.hpp"

namespace confab::store {

void memory_conversation::push(const model::entry& x) {
  if (!x.source_id.empty())
    source_ids[x.source_id].insert(x.at);
  entries.push_back({x, tail_bytes() + model::weight(x)});
}

void memory_conversation::remember(const append& x, std::int64_t now_ms) {
  if (x.producer.empty() || x.producer.front() == '~')
    return;
  const auto& front = x.entries.front();
  bool key = x.producer.front() == '=';
  producer_row row;
  row.epoch = key ? 0 : x.producer_epoch;
  row.number = x.producer_seq;
  row.last = {front.at, static_cast<std::uint32_t>(x.entries.size()), front.id, false};
  row.fingerprint = key ? x.fingerprint : 0;
  producers.insert_or_assign(x.producer, remembered{row, now_ms});
}

void memory_conversation::trim_to(model::seq next) {
  while (first < next) {
    const auto& gone = entries.front();
    base_id = gone.entry.id;
    base_bytes = gone.bytes_through;
    if (auto places = source_ids.find(gone.entry.source_id); places != source_ids.end()) {
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

} // namespace confab::store
