#include "simulation/one_shot.hpp"

#include <algorithm>

namespace confab::test {

void one_shot::take(net::event& x) {
  ++answers_;
  if (const auto* f = std::get_if<net::failed_event>(&x)) {
    auto code = f->why.what;
    auto unread = code == model::code::read_failed && truth_.unreadable();
    auto unchanged = code == model::code::store_failed && truth_.cut_off;
    if (code != model::code::not_found && !unread && !unchanged)
      wrong("an error that nothing here can cause: " + std::string{to_string(code)});
    return;
  }
  if (const auto* p = std::get_if<net::page_event>(&x); p != nullptr && what_ == kind::page)
    return check_page(*p);
  if (const auto* i = std::get_if<net::info_event>(&x)) {
    const auto* log = truth_.find(name_, i->state.epoch.text);
    if (log == nullptr || i->state.tail > log->tail() ||
        (log->deleted_at != 0 && log->deleted_at < asked_))
      wrong("tells of a log that is not there");
    if (what_ == kind::close && i->state.life != model::lifecycle::closed)
      wrong("closed, but it is not");
    return;
  }
  if (what_ != kind::remove || !std::holds_alternative<net::deleted_event>(x))
    wrong("an answer to another question");
}

void one_shot::check_page(const net::page_event& x) {
  const auto& state = x.held->state;
  const auto* log = truth_.find(name_, state.epoch.text);
  if (x.held->entries.empty())
    return;
  if (log == nullptr)
    return wrong("a page of no log");
  auto at = std::max(x.after.at.next(), state.first);
  for (const auto& e : x.held->entries) {
    const auto* held = log->at(at);
    if (e.at != at || held == nullptr || !(e == *held))
      return wrong("a page that is not the log's at " + std::to_string(at.value));
    at = at.next();
  }
}

std::string one_shot::fault(bool final) const {
  if (fault_.empty() && (answers_ > 1 || (final && answers_ == 0)))
    return "one shot, " + name_ + ": got " + std::to_string(answers_) + " answers";
  return fault_;
}

} // namespace confab::test
