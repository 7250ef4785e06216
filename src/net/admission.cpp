#include "net/admission.hpp"

#include <utility>

namespace confab::net {

admission::admission(admission&& other) noexcept
  : gate_{std::exchange(other.gate_, nullptr)}, from_{other.from_} {}

admission& admission::operator=(admission&& other) noexcept {
  std::swap(gate_, other.gate_);
  std::swap(from_, other.from_);
  return *this;
}

admission::~admission() {
  if (gate_)
    gate_->leave(from_);
}

std::optional<admission> gate::admit(const boost::asio::ip::address& from) {
  if (all_.fetch_add(1, std::memory_order_relaxed) >= all_max_) {
    all_.fetch_sub(1, std::memory_order_relaxed);
    refused_.add();
    return std::nullopt;
  }
  if (per_address_max_ == 0)
    return admission{*this, std::nullopt};
  {
    std::lock_guard lock{mutex_};
    auto& count = by_address_[from];
    if (count < per_address_max_) {
      ++count;
      return admission{*this, from};
    }
  }
  all_.fetch_sub(1, std::memory_order_relaxed);
  refused_.add();
  return std::nullopt;
}

void gate::leave(const std::optional<boost::asio::ip::address>& from) {
  all_.fetch_sub(1, std::memory_order_relaxed);
  if (!from)
    return;
  std::lock_guard lock{mutex_};
  auto i = by_address_.find(*from);
  if (--i->second == 0)
    by_address_.erase(i);
}

} // namespace confab::net
