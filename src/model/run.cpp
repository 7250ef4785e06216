#include "model/run.hpp"

#include <cassert>

namespace confab::model {

std::string_view to_string(reset_reason x) noexcept {
  switch (x) {
  case reset_reason::trimmed: return "trimmed";
  case reset_reason::epoch: return "epoch";
  case reset_reason::deleted: return "deleted";
  }
  return "epoch";
}

run::run(std::shared_ptr<const conversation_name> name, model::epoch epoch,
         std::vector<entry> entries, byte_budget* budget)
  : name_{std::move(name)}, epoch_{std::move(epoch)}, entries_{std::move(entries)},
    budget_{budget} {
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
  auto& slot = encodings_[format.index()];
  std::call_once(slot.once, [&] {
    auto& [bytes, ends] = slot.held;
    // An estimate that fits JSON frames of ordinary entries, so that one allocation is enough.
    bytes.reserve(bytes_ + entries_.size() * (128 + name_->text().size()));
    ends.reserve(entries_.size());
    for (const auto& x : entries_) {
      format.add_entry(bytes, *name_, epoch_, x);
      ends.push_back(static_cast<std::uint32_t>(bytes.size()));
    }
    if (budget_) {
      auto more = bytes.capacity() + ends.capacity() * sizeof(std::uint32_t);
      taken_ += more;
      budget_->take(more);
    }
  });
  return slot.held;
}

} // namespace confab::model
