#include "model/outlet.hpp"

#include <algorithm>
#include <cassert>

namespace confab::model {

namespace {

/// What the end of an entry tells; marks that are due right behind it are told by that.
remaining told_by_end(subscription& probe, const feed& from) {
  using due = step::kind;
  auto next = probe.next(from);
  if (next.what == due::live) {
    probe.did(next, from);
    next = probe.next(from);
  }
  if (next.what == due::closed) {
    probe.did(next, from);
    return remaining::end;
  }
  return next.what == due::wait ? remaining::nothing_yet : remaining::more;
}

} // namespace

void gathering::clear() {
  pieces_.clear();
  items_.clear();
  marks_.clear();
  // Pieces point into these strings, so the vector must not move them.
  marks_.reserve(pieces_max);
  bytes_ = 0;
}

void gathering::add(item x, std::string_view bytes) {
  items_.push_back(std::move(x));
  pieces_.push_back({bytes.data(), bytes.size()});
  bytes_ += bytes.size();
}

void outlet::control(std::string_view frame, bool closes) {
  assert(frame.size() <= 127); // a header of 2 bytes, and what RFC 6455 §5.5 allows
  if (closes_)
    return;
  if (control_sent_ > 0) {
    // Its rest is the frame in progress, so nothing of `own_` has left.
    assert(own_sent_ == 0);
    own_.insert(0, control_, control_sent_);
    control_sent_ = 0;
  } else if (closes) {
    own_.append(control_);
  }
  control_.assign(frame);
  closes_ = closes;
  closing_ = closing_ || closes;
}

void outlet::make_ready(follower& x) {
  if (x.ready)
    return;
  x.ready = true;
  ready_.push_back(&x);
}

void outlet::forget(follower& x) {
  if (x.ready)
    std::erase(ready_, &x);
  x.ready = false;
}

void outlet::gather(gathering& to, page_source& pages) {
  using kind = gathering::kind;
  to.clear();
  auto add_control = [&] {
    if (!control_.empty())
      to.add({.what = kind::control}, std::string_view{control_}.substr(control_sent_));
  };
  if (control_sent_ > 0)
    add_control();
  if (own_.size() > own_sent_)
    to.add({.what = kind::own}, std::string_view{own_}.substr(own_sent_));
  if (control_sent_ == 0)
    add_control();
  if (closing_)
    return;
  // A follower stays in the list until it has nothing more; the first one moves to the end when the
  // gathering is full, so that one long replay does not starve the socket's other conversations.
  std::size_t kept = 0;
  auto old = ready_.size();
  std::size_t i = 0;
  for (; i < old && !to.full(); ++i) {
    auto& x = *ready_[i];
    auto before = to.items_.size();
    gather_from(to, x, pages);
    if (to.items_.size() == before)
      x.ready = false;
    else
      ready_[kept++] = &x;
  }
  auto unvisited = std::copy(ready_.begin() + i, ready_.end(), ready_.begin() + kept);
  ready_.erase(unvisited, ready_.end());
  if (i < old && kept > 0)
    std::rotate(ready_.begin(), ready_.begin() + kept, ready_.end());
}

void outlet::gather_from(gathering& to, follower& x, page_source& pages) {
  using due = step::kind;
  auto probe = x.sub;
  const auto& from = *x.from;
  while (!to.full()) {
    auto next = probe.next(from);
    run_ptr held;
    switch (next.what) {
    case due::wait:
      return;
    case due::ring:
      held = *next.entries;
      break;
    case due::page:
      x.sub.needs_log();
      probe.needs_log();
      held = x.awaited == seq{} ? pages.page_for(x, probe.at().next()) : nullptr;
      if (!held)
        return;
      break;
    case due::reset:
      if (x.format->open_ended())
        return;
      [[fallthrough]];
    case due::live:
    case due::closed:
      add_mark(to, x, probe, next);
      continue;
    }
    add_entries(to, x, probe, std::move(held));
  }
}

void outlet::add_entries(gathering& to, follower& x, subscription& probe, run_ptr held) {
  auto at = probe.at().next();
  auto open_ended = x.format->open_ended();
  const auto& encoded = held->encoded(*x.format);
  auto skipped = at.value - held->first().value;
  auto begin = skipped == 0 ? 0 : encoded.ends[skipped - 1];
  // As many whole frames as still fit; at least one, and no more if each has an end of its own.
  auto fits = encoded.ends.begin() + static_cast<std::ptrdiff_t>(skipped) + 1;
  if (!open_ended)
    fits = std::upper_bound(fits, encoded.ends.end(), begin + (gathering::bytes_max - to.bytes_));
  auto end = *std::prev(fits);
  auto last = held->first().value + static_cast<std::uint64_t>(fits - encoded.ends.begin()) - 1;
  probe.sent_through(seq{last}, *x.from);
  if (open_ended)
    x.format->add_end(to.marks_.emplace_back(), x.token, told_by_end(probe, *x.from));
  to.add({.what = gathering::kind::entries,
          .who = &x,
          .held = std::move(held),
          .encoded = &encoded,
          .from = at,
          .then = probe},
         std::string_view{encoded.bytes}.substr(begin, end - begin));
  if (open_ended)
    to.add({.what = gathering::kind::end}, to.marks_.back());
}

void outlet::add_mark(gathering& to, follower& x, subscription& probe, const step& due) {
  using kind = step::kind;
  const auto& from = *x.from;
  const auto& s = from.state();
  const auto& name = *from.name();
  auto open_ended = x.format->open_ended();
  probe.did(due, from);
  if (open_ended && due.what == kind::live && s.life == lifecycle::closed)
    return; // `closed` comes next, and says it as well
  auto& text = to.marks_.emplace_back();
  if (due.what == kind::reset)
    x.format->add_reset(text, name, due.reason, s.epoch, due.missing_from, due.missing_through);
  else if (due.what == kind::live)
    x.format->add_live(text, name, {s.epoch, probe.at(), s.tail_id});
  else
    x.format->add_closed(text, name, {s.epoch, probe.at(), s.tail_id});
  if (open_ended)
    x.format->add_end(text, x.token,
                      due.what == kind::live ? remaining::nothing_yet : remaining::end);
  to.add({.what = gathering::kind::mark, .who = &x, .then = probe}, text);
}

bool outlet::sent(gathering& what, std::size_t n) {
  using kind = gathering::kind;
  for (std::size_t i = 0; i < what.items_.size(); ++i) {
    auto& x = what.items_[i];
    auto [data, size] = what.pieces_[i];
    if (n >= size) {
      n -= size;
      switch (x.what) {
      case kind::own:
        // Freed, not just emptied (assignment keeps the capacity): an idle socket holds no buffer.
        std::string{}.swap(own_);
        own_sent_ = 0;
        break;
      case kind::control:
        std::string{}.swap(control_);
        control_sent_ = 0;
        break;
      case kind::entries:
      case kind::mark:
        x.who->sub = std::move(*x.then);
        break;
      case kind::end:
        break;
      }
      continue;
    }
    if (n == 0 && x.what != kind::end)
      return false;
    switch (x.what) {
    case kind::own:
      own_sent_ += n;
      break;
    case kind::control:
      control_sent_ = static_cast<std::uint8_t>(control_sent_ + n);
      break;
    case kind::mark:
      x.who->sub = std::move(*x.then);
      keep_rest({data + n, size - n});
      break;
    case kind::end:
      keep_rest({data + n, size - n});
      break;
    case kind::entries: {
      if (x.who->format->open_ended()) {
        // One frame, and its end behind it.
        x.who->sub = std::move(*x.then);
        keep_rest({data + n, size - n});
        const auto& end = what.pieces_[i + 1];
        own_.append(end.data, end.size);
        break;
      }
      auto all = std::string_view{x.encoded->bytes};
      auto offset = static_cast<std::size_t>(data - all.data()) + n;
      const auto& ends = x.encoded->ends;
      auto end = std::upper_bound(ends.begin(), ends.end(), offset);
      auto whole = static_cast<std::uint64_t>(end - ends.begin());
      auto begin = whole == 0 ? 0 : ends[whole - 1];
      auto last = x.held->first().value + whole - 1;
      if (offset > begin) {
        keep_rest(all.substr(offset, *end - offset));
        ++last;
      }
      // A frame in progress counts as sent: its rest is kept here.
      x.who->sub.sent_through(seq{last}, *x.who->from);
      break;
    }
    }
    return false;
  }
  return true;
}

void outlet::keep_rest(std::string_view rest) {
  assert(own_.size() == own_sent_);
  own_.assign(rest);
  own_sent_ = 0;
}

} // namespace confab::model
