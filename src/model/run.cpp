#include "model/run.hpp"

#include <cassert>

namespace confab::model {

std::string_view to_string(reset_reason x) noexcept {
  switch (x) {
  case reset_reason::trimmed:
    return "trimmed";
  case reset_reason::epoch:
    return "epoch";
  case reset_reason::deleted:
    return "deleted";
  }
  return "epoch";
}

run::run(std::shared_ptr<const conversation_name> name, model::epoch epoch,
         std::vector<entry> entries, byte_budget* budget)
  : name_{std::move(name)}, epoch_{std::move(epoch)}, entries_{std::move(entries)}, budget_{
                                                                                        budget} {
  assert(!entries_.empty());
  for (const auto& x : entries_)
    bytes_ += weight(x);
  if (budget_) {
    taken_ = sizeof(run) + bytes_ + entries_.size() * sizeof(entry);
    budget_->take(taken_);
  }
}

run::~run() {
  if (budget_)
    budget_->give_back(taken_);
}

const frames& run::encoded(const wire_format& format) const {
  using phase = encoding::phase;
  auto& slot = encodings_[format.index()];
  auto at = slot.at.load(std::memory_order_acquire);
  if (at == phase::none &&
      slot.at.compare_exchange_strong(at, phase::under_way, std::memory_order_acquire)) {
    encode(format, slot.held);
    slot.at.store(at = phase::done, std::memory_order_release);
    slot.at.notify_all();
  }
  // Another thread encodes it.
  while (at != phase::done) {
    slot.at.wait(at, std::memory_order_acquire);
    at = slot.at.load(std::memory_order_acquire);
  }
  return slot.held;
}

void run::encode(const wire_format& format, frames& to) const {
  // An estimate that fits JSON frames of ordinary entries, so that one allocation is enough.
  to.bytes.reserve(bytes_ + entries_.size() * (128 + name_->text().size()));
  to.ends.reserve(entries_.size());
  for (const auto& x : entries_) {
    format.add_entry(to.bytes, *name_, epoch_, x);
    to.ends.push_back(static_cast<std::uint32_t>(to.bytes.size()));
  }
  if (budget_) {
    auto more = to.bytes.capacity() + to.ends.capacity() * sizeof(std::uint32_t);
    taken_ += more;
    budget_->take(more);
  }
}

} // namespace confab::model
