#include "store/redis_store.hpp"

#include "store/redis_reader.hpp"
#include "store/redis_writer.hpp"

#include <algorithm>

namespace confab::store {

namespace {

class redis_store final : public log_store {
public:
  explicit redis_store(redis_log_options how) : how_{std::move(how)} {}

  [[nodiscard]] std::unique_ptr<log_writer> writer() override {
    return std::make_unique<redis_writer>(how_, places_);
  }
  [[nodiscard]] model::result<std::unique_ptr<log_reader>> reader() override {
    return std::unique_ptr<log_reader>{std::make_unique<redis_reader>(how_, places_)};
  }
  [[nodiscard]] std::string description() const override {
    const auto& at = how_.redis.address;
    return "Redis at " + (at.path.empty() ? at.host + ':' + std::to_string(at.port) : at.path);
  }
  [[nodiscard]] model::status close() override { return model::nothing{}; }

private:
  redis_log_options how_;
  redis_places places_;
};

} // namespace

model::result<std::unique_ptr<log_store>> open_redis(redis_log_options how) {
  if (std::any_of(how.retention.begin(), how.retention.end(),
                  [](const auto& x) { return x.bytes_max > 0; }))
    return model::error{model::code::store_failed,
                        "store.retention: max_bytes is not supported with redis.role = log"};
  redis_connection first{how.redis};
  redis_call begin{{"confab:since"}, {}};
  auto begun = first.call_all(redis_scripts::begin, {&begin, 1});
  if (!begun && begun.why().what == model::code::unsupported)
    return model::error{model::code::store_failed, begun.why().detail};
  return std::unique_ptr<log_store>{std::make_unique<redis_store>(std::move(how))};
}

} // namespace confab::store
