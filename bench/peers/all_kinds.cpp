#include "peers.hpp"

namespace confab::peers {

std::vector<kind_ptr> all_kinds() {
  std::vector<kind_ptr> all;
  for (auto kinds : {limit_kinds(), nchan_kinds(), nats_kinds(), mosquitto_kinds(), redis_kinds(),
                     socketio_kinds()})
    all.insert(all.end(), kinds.begin(), kinds.end());
  return all;
}

} // namespace confab::peers
