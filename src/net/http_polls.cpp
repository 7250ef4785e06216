// A request that waits for entries: a follower until there are some, or its time has passed.
#include "net/http_connection.hpp"
#include "net/wire/formats.hpp"

namespace confab::net {

namespace {

/// A stream's reader waits so long before it hears that nothing has come.
constexpr std::int64_t stream_wait_ms = 20'000;

/// Gives what there is from `at` on, beginning with `first` and going on in the ring, to `take`,
/// which says how many of the entries it took. Both are bounded, and so is the sum.
template <class Take>
void gather_runs(const model::run_ptr& first, const model::feed& feed, model::seq at,
                 std::size_t limit, Take take) {
  std::size_t bytes = 0;
  for (const auto* run = first ? &first : nullptr;
       run && limit > 0 && bytes < model::page_bytes_max; run = feed.find(at)) {
    auto entries = (*run)->entries().subspan(at.value - (*run)->first().value);
    std::size_t n = 0;
    for (; n < std::min(limit, entries.size()) && bytes < model::page_bytes_max; ++n)
      bytes += weight(entries[n]);
    take(entries.first(n));
    limit -= n;
    at = {at.value + n};
  }
}

} // namespace

void http_connection::carry_out(wait_for_entries& x) {
  poll_.emplace(poll{.ref = std::to_string(++polls_),
                     .limit = x.limit,
                     .deadline_ms = io_thread::now_ms() + x.wait_ms});
  port().tell(subscribe_command{poll_->ref, std::move(x.name), x.from});
}

void http_connection::carry_out(wait_on_stream& x) {
  stream_ = std::move(x.how);
  poll_.emplace(poll{.ref = std::to_string(++polls_),
                     .limit = model::page_entries_max,
                     .deadline_ms = io_thread::now_ms() + stream_wait_ms});
  port().tell(subscribe_command{poll_->ref, std::move(x.name), x.from, true});
}

void http_connection::try_poll() {
  auto over = poll_->deadline_ms == 0;
  if (!poll_->who)
    return; // what it waits for is known once it follows; that, or a failure, always comes
  auto& f = *poll_->who;
  const auto& feed = *f.from;
  outlet::forget(f); // its entries leave in an answer, not by themselves
  using due = model::step::kind;
  while (true) {
    auto next = f.sub.next(feed);
    switch (next.what) {
    case due::wait:
      if (over || poll_->was_reset)
        answer_poll(nullptr);
      return;
    case due::live:
      f.sub.did(next, feed);
      break;
    case due::reset:
      skip(next);
      break;
    case due::closed:
      return answer_poll(nullptr);
    case due::ring:
      return answer_poll(*next.entries);
    case due::page:
      f.sub.needs_log();
      auto held = f.awaited == model::seq{} ? owner().page_for(f, f.sub.at().next()) : nullptr;
      if (held)
        answer_poll(held);
      else if (over)
        answer_poll(nullptr);
      return;
    }
  }
}

void http_connection::skip(const model::step& reset) {
  auto& f = *poll_->who;
  auto trimmed = reset.reason == model::reset_reason::trimmed;
  f.sub.did(reset, *f.from);
  // A stream without an offset begins with the first entry that there is by then.
  if (trimmed && stream_ && !stream_->at_offset) {
    poll_->after.at = f.sub.at();
    return;
  }
  // A range that is missing shows by itself in the page's first seq.
  if (!trimmed)
    poll_->after = {{}, reset.reason};
  poll_->was_reset = true;
}

void http_connection::answer_poll(const model::run_ptr& first) {
  auto& f = *poll_->who;
  const auto& feed = *f.from;
  auto at = f.sub.at().next();
  if (stream_) {
    stream_reading found{feed.state(), poll_->settings, poll_->after};
    gather_runs(first, feed, at, poll_->limit, [&](auto entries) { found.add(entries); });
    end_poll();
    return answer(std::move(found));
  }
  auto out = wire::page_begin(feed.state(), poll_->after);
  gather_runs(first, feed, at, poll_->limit,
              [&](auto entries) { wire::add_page_entries(out, entries); });
  out += "]}";
  end_poll();
  answer(200, "application/json", out);
}

void http_connection::end_poll() {
  if (poll_->who)
    end_subscription(*poll_->who);
  poll_.reset();
}

void http_connection::failed(model::follower& x, const model::error& why) {
  if (!poll_ || poll_->who != &x)
    return end_subscription(x);
  end_poll();
  refuse(why);
  owner().touch(*this);
}

} // namespace confab::net
