// How a conversation notices what others have added to its log (DESIGN §8, role log).
#include "actors/conversation.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>

namespace confab::actors {

namespace {

constexpr std::int64_t unlinked_reconcile_ms = 500;
constexpr std::chrono::milliseconds look_again_in{50};

} // namespace

bool conversation_state::shared() const noexcept {
  return env->at_most.reconcile_ms > 0;
}

void conversation_state::wake_up() {
  if (!shared() || leaving)
    return;
  if (unavailable() || opening)
    return; // opening looks, too
  if (looking) {
    look_again = true;
    return;
  }
  looking = true;
  ++looks;
  std::move(arriving.begin(), arriving.end(), std::back_inserter(looked_for));
  arriving.clear();
  self->send(writer, atom::look::value, *of, caf::actor_cast<commit_listener>(self));
}

void conversation_state::looked(const opened& x) {
  looking = false;
  auto again = std::exchange(look_again, false);
  auto overtaken = std::exchange(look_overtaken, false);
  // What is on its way to the log belongs to the log as it was: its outcome tells.
  auto replaced = x && !overtaken && x->state.epoch != state.epoch;
  if (leaving || opening || control_running)
    return;
  if (replaced && !in_flight.empty())
    return self->delayed_send(self, look_again_in, atom::wake_up::value);
  if (!x) {
    // The writer's health says it aloud, and the next look comes.
    spdlog::debug("{}: cannot be looked at: {}", of->text(), x.why().detail);
  } else if (replaced) {
    know(*x);
    announce({});
    speak_of_growth();
  } else if (!overtaken && !state.epoch.empty() && (x->state != state || x->settings != settings)) {
    settings = x->settings;
    state = x->state;
    place_again();
    announce({});
    speak_of_growth();
  }
  for (auto& each : std::exchange(looked_for, {}))
    each.answer.deliver(x ? admit(each.who) : subscribed{x.why()});
  release_unread(false, x ? nullptr : &x.why());
  if (again)
    wake_up();
  watch_idleness();
}

void conversation_state::speak_of_growth() {
  // Of several nodes the home does.
  if (streams.stream_speaker && !home)
    self->send(streams.stream_speaker, atom::look::value, *of);
}

void conversation_state::release_unread(bool all, const model::error* why) {
  auto later = std::stable_partition(unread.begin(), unread.end(),
                                     [&](const auto& x) { return all || x.look <= looks; });
  std::vector<unread_draft> due{std::make_move_iterator(unread.begin()),
                                std::make_move_iterator(later)};
  unread.erase(unread.begin(), later);
  if (due.empty())
    return;
  for (const auto& x : due)
    if (why != nullptr)
      refuse(x.what, *why);
    else
      take(x.what);
  if (in_flight.empty())
    release_held();
}

void conversation_state::admit_all() {
  for (auto* some : {&looked_for, &arriving})
    for (auto& x : std::exchange(*some, {}))
      x.answer.deliver(admit(x.who));
}

void conversation_state::turn_away(std::vector<arrival>& from, connection_id who) {
  std::erase_if(from, [who](arrival& x) {
    if (x.who.id != who)
      return false;
    x.answer.deliver(
        subscribed{model::error{model::code::superseded, "it was unsubscribed meanwhile"}});
    return true;
  });
}

void conversation_state::reconcile() {
  growth_pending = false;
  if (subscribers.empty())
    return;
  wake_up();
  watch_growth();
}

void conversation_state::watch_growth() {
  auto period = env->at_most.reconcile_ms;
  // Nobody tells what is appended behind a link that is down.
  if (view && !view->whole)
    period = std::min(period, unlinked_reconcile_ms);
  if (growth_pending || period == 0 || subscribers.empty())
    return;
  growth_pending = true;
  // Between three and five quarters, so that conversations do not march in step.
  growth_phase = growth_phase * 6364136223846793005 + 1442695040888963407;
  auto wait =
      period * 3 / 4 + static_cast<std::int64_t>((growth_phase >> 33) % 1024) * period / 2048;
  self->delayed_send(self, std::chrono::milliseconds{wait}, atom::reconcile::value);
}

void conversation_state::place_again() {
  last_given = state.tail;
  for (const auto& x : in_flight)
    last_given.value += x.what->entries.size();
  last_id = std::max(last_id, state.tail_id);
}

} // namespace confab::actors
