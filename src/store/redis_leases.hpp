// Leases of nodes in Redis, by its clock: the hash `confab:nodes`, a row for each incarnation.
//
// A row: `deadline_ms address port version protocol cluster connections conversations homes
// client_url`, with `-` for an empty URL. Other versions may write more behind these.
#pragma once

#include "store/lease_source.hpp"
#include "store/redis_connection.hpp"

namespace confab::store {

inline constexpr const char* nodes_key = "confab:nodes";

class redis_leases final : public lease_source {
public:
  /// @param how with the waits cut so that a call blocks for a third of the lease at most: whoever
  /// renews must notice in time that it could not.
  /// @pre 0 < lease_ms <= lease_ms_max
  redis_leases(redis_options how, std::int64_t lease_ms);

  [[nodiscard]] model::result<std::vector<lease>> renew(const lease& own) override;
  [[nodiscard]] model::status release(const std::string& incarnation) override;
  [[nodiscard]] model::result<std::vector<lease>> list() override;
  [[nodiscard]] std::size_t unreadable() const override { return unreadable_; }

private:
  [[nodiscard]] model::result<std::vector<lease>> call(const redis_script& script, redis_call x);

  std::int64_t lease_ms_;
  redis_connection redis_;
  std::size_t unreadable_ = 0;
};

} // namespace confab::store
