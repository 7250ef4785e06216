// How many connections there may be, in all and from one address.
#pragma once

#include "model/counter.hpp"

#include <boost/asio/ip/address.hpp>

#include <atomic>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>

namespace confab::net {

class gate;

/// A connection's place; gives it back when it ends.
class admission {
public:
  admission() = default;
  admission(admission&& other) noexcept;
  admission& operator=(admission&& other) noexcept;
  ~admission();

private:
  friend class gate;
  admission(gate& owner, std::optional<boost::asio::ip::address> from)
    : gate_{&owner}, from_{from} {}

  gate* gate_ = nullptr;
  /// Only with a limit per address.
  std::optional<boost::asio::ip::address> from_;
};

/// Any thread. Outlives its admissions.
class gate {
public:
  /// @param per_address_max 0: no limit.
  gate(std::size_t all_max, std::size_t per_address_max)
    : all_max_{all_max}, per_address_max_{per_address_max} {}

  /// Nothing when a limit is reached.
  [[nodiscard]] std::optional<admission> admit(const boost::asio::ip::address& from);
  [[nodiscard]] std::size_t inside() const noexcept { return all_.load(std::memory_order_relaxed); }
  /// How many were not admitted.
  [[nodiscard]] std::uint64_t refused() const noexcept { return refused_.value(); }

private:
  friend class admission;
  void leave(const std::optional<boost::asio::ip::address>& from);

  const std::size_t all_max_;
  const std::size_t per_address_max_;
  std::atomic<std::size_t> all_{0};
  model::counter refused_;
  std::mutex mutex_;
  std::map<boost::asio::ip::address, std::size_t> by_address_;
};

} // namespace confab::net
