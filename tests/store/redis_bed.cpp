#include "store/redis_bed.hpp"

#include "actors/stream_copies.hpp"

namespace confab::test {

store::redis_log_options log_options(const redis_server& redis, const store::options& how) {
  store::redis_log_options made;
  made.redis = redis.options();
  made.producer_ttl_s = how.producer_ttl_s;
  made.cursor_ttl_s = how.cursor_ttl_s;
  made.retention = how.retention;
  made.origin = "test";
  made.read = actors::copy_of;
  made.wall_ms = how.wall_ms;
  return made;
}

redis_server& shared_redis() {
  static redis_server one;
  return one;
}

in_redis::in_redis() {
  shared_redis().ask({"FLUSHALL"});
}

std::unique_ptr<store::log_store> open_on_redis(const store::options& how) {
  auto opened = store::open_redis(log_options(shared_redis(), how));
  REQUIRE_MESSAGE(opened, opened.why().detail);
  return std::move(*opened);
}

} // namespace confab::test
