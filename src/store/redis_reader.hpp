// A reading session of the log on Redis.
#pragma once

#include "store/redis_session.hpp"

namespace confab::store {

class redis_reader final : public log_reader {
public:
  redis_reader(const redis_log_options& how, redis_places& places);

  [[nodiscard]] model::result<model::page> page(const model::conversation_name& name,
                                                model::seq from, model::seq through) override;
  [[nodiscard]] model::result<located> locate(const model::conversation_name& name,
                                              model::seq at) override;
  [[nodiscard]] model::result<located> locate_id(const model::conversation_name& name,
                                                 model::entry_id id) override;
  [[nodiscard]] model::result<std::vector<listed>>
  list(const std::string& prefix, const std::string& after, std::size_t limit) override;
  [[nodiscard]] model::result<std::optional<model::position>> cursor(const cursor_key& key,
                                                                     std::int64_t now_ms) override;

private:
  [[nodiscard]] model::result<model::page> read_page(const model::conversation_name& name,
                                                     redis_session::stretch&& read);

  redis_session session_;
};

} // namespace confab::store
