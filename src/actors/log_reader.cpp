#include "actors/log_reader.hpp"

namespace confab::actors {

log_reader_actor::behavior_type log_reader(log_reader_actor::pointer self,
                                           std::shared_ptr<store::log_reader> session,
                                           net::pages* answers, const environment* env) {
  abort_on_exceptions(*self);
  return {
      [=](atom::page, const net::page_request& x) {
        answers->arrived(x, session->page(*x.name, x.from, x.through));
      },
      [=](atom::page, const page_range& x) -> page_read {
        auto got = session->page(x.name, x.from, x.through);
        if (!got)
          return got.why();
        return std::make_shared<const model::page>(std::move(*got));
      },
      [=](atom::locate, const locate_request& x) -> located {
        return x.by == model::lookup::id ? session->locate_id(x.name, x.id)
                                         : session->locate(x.name, x.at);
      },
      [=](atom::list, const list_range& x) -> list_read {
        return session->list(x.prefix, x.after, x.limit);
      },
      [=](atom::cursor, const store::cursor_key& x) -> cursor_read {
        return session->cursor(x, env->wall_ms());
      },
  };
}

} // namespace confab::actors
