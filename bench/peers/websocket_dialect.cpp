#include "websocket_dialect.hpp"

namespace confab::peers {

std::size_t websocket_dialect::take(std::span<char> in, std::string& out,
                                    net::load::dialect_events& to) {
  using what = net::load::websocket_client::step::what;
  for (std::size_t used = 0;;) {
    auto step = socket_.next(in.subspan(used), out);
    used += step.used;
    switch (step.is) {
    case what::more:
      return used;
    case what::opened:
      on_open(out, to);
      break;
    case what::message:
      if (auto why = on_message(step.view(), out, to); !why.empty()) {
        to.ended(why);
        return in.size();
      }
      break;
    case what::ended:
      to.ended(step.view());
      return in.size();
    }
  }
}

} // namespace confab::peers
