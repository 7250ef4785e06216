// A store on a Redis of its own.
#pragma once

#include "store/redis_store.hpp"
#include "support/redis_server.hpp"

namespace confab::test {

[[nodiscard]] store::redis_log_options log_options(const redis_server& redis,
                                                   const store::options& how = {});

/// The one that the shared suite runs on.
[[nodiscard]] redis_server& shared_redis();

} // namespace confab::test
