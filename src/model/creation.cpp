#include "model/creation.hpp"

namespace confab::model {

std::optional<std::int64_t> lifetime::renewed(std::int64_t now_ms) const noexcept {
  if (!ttl_s)
    return std::nullopt;
  auto ttl_ms = std::int64_t{*ttl_s} * 1000;
  if (expires_ms && *expires_ms >= now_ms + ttl_ms)
    return std::nullopt;
  return now_ms + ttl_ms + ttl_ms / 16;
}

} // namespace confab::model
