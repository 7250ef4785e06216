#include "simulation/witness.hpp"

#include <algorithm>

namespace confab::test {

namespace {

std::string number(model::seq x) {
  return std::to_string(x.value);
}

} // namespace

void witness::wrong(const std::string& name, const std::string& what) {
  if (fault_.empty())
    fault_ = who_ + ", " + name + ": " + what;
}

// ---- what the client asks ---------------------------------------------------------------------

witness::question witness::ask(question::kind what, const std::string& name) {
  question x{.what = what, .name = name};
  constexpr const char* names[] = {"subscribe", "unsubscribe", "publish", "ack"};
  truth_.tell(who_ + " asks " + names[static_cast<int>(what)] + ' ' + name);
  x.moment = ++truth_.moment;
  x.log = truth_.current(name);
  if (x.log != nullptr)
    x.tail = x.log->tail();
  return x;
}

void witness::subscribes(const std::string& ref, const std::string& name,
                         const model::resume_request& from, const cursor_bounds& cursor) {
  auto x = ask(question::kind::subscribe, name);
  views_[name].asked = x.moment;
  x.from = from;
  x.cursor = cursor;
  x.cursor_now = &cursor;
  questions_.emplace(ref, std::move(x));
}

void witness::unsubscribes(const std::string& ref, const std::string& name) {
  questions_.emplace(ref, ask(question::kind::unsubscribe, name));
}

void witness::publishes(const std::string& ref, const std::string& name, const model::batch& what) {
  auto x = ask(question::kind::publish, name);
  x.drafts = what;
  for (const auto& y : what.drafts)
    ledger_.asked(y.payload);
  if (x.log != nullptr && !what.producer.empty())
    for (const auto& y : x.log->entries) {
      if (y.producer != what.producer)
        continue;
      x.number_there = std::max(x.number_there, y.producer_seq);
      if (!x.there && y.producer_seq == what.producer_seq)
        x.there = y.at;
    }
  questions_.emplace(ref, std::move(x));
}

void witness::acks(const std::string& ref, const std::string& name, std::uint64_t seq,
                   cursor_bounds& cursor) {
  auto x = ask(question::kind::ack, name);
  const auto& epoch = views_[name].epoch;
  if (cursor.epoch != epoch)
    cursor = {.epoch = epoch};
  cursor.sent = std::max(cursor.sent, seq);
  x.seq = seq;
  x.cursor = cursor;
  x.acked = &cursor;
  questions_.emplace(ref, std::move(x));
}

// ---- what the client is told ------------------------------------------------------------------

void witness::told(std::string_view text) {
  auto x = json::parse(text, nullptr, false);
  if (!x.is_object() || !x.contains("op"))
    return wrong("-", "a frame that is no JSON object with an op: " + std::string{text});
  truth_.tell(who_ + " gets " + std::string{text});
  if (!fault_.empty())
    return; // what follows a first fault says nothing
  const auto& op = x["op"].get_ref<const std::string&>();
  auto name = x.value("conversation", std::string{});
  if (op == "entry")
    entry(x, name);
  else if (op == "live")
    live(x, name);
  else if (op == "reset")
    reset(x, name);
  else if (op == "closed")
    closed(x, name);
  else if (op == "subscribed")
    subscribed(x, name);
  else if (op == "unsubscribed")
    unsubscribed(x, name);
  else if (op == "published")
    published(x, name);
  else if (op == "acked") {
    if (auto* q = answered(x, question::kind::ack, name); q != nullptr) {
      if (x["seq"].get<std::uint64_t>() != q->seq)
        wrong(name, "acked another seq");
      if (q->acked->epoch == q->cursor.epoch)
        q->acked->confirmed = std::max(q->acked->confirmed, q->seq);
    }
  } else if (op == "error")
    refused(x, name);
  else
    wrong(name, "unexpected op " + op);
}

witness::question* witness::answered(const json& frame, question::kind what,
                                     const std::string& name) {
  auto i = frame.contains("ref") ? questions_.find(frame["ref"].dump()) : questions_.end();
  if (i == questions_.end() || i->second.what != what || i->second.name != name) {
    wrong(name, "an answer to nothing, or a second one: " + frame.dump());
    return nullptr;
  }
  last_ = std::move(i->second);
  questions_.erase(i);
  return &*last_;
}

view* witness::expecting(const std::string& name, std::string_view op) {
  auto& v = views_[name];
  if (!v.active) {
    wrong(name, std::string{op} + " without a subscription");
    return nullptr;
  }
  if (v.reset_due && op != "reset") {
    wrong(name, std::string{op} + " instead of the reset that the resume position calls for");
    return nullptr;
  }
  return &v;
}

void witness::entry(const json& x, const std::string& name) {
  auto* v = expecting(name, "entry");
  if (v == nullptr)
    return;
  ++entries_;
  model::seq at{x["seq"].get<std::uint64_t>()};
  if (at != v->at.next())
    return wrong(name, "entry " + number(at) + " after " + number(v->at));
  auto same = [&](const incarnation& log) {
    const auto* held = log.at(at);
    return held != nullptr && x["payload"].dump() == held->payload &&
           x["id"].get_ref<const std::string&>() == to_string(held->id) &&
           x["sender"] == held->sender && x["kind"] == held->kind;
  };
  if (v->epoch.empty() && v->candidates.empty())
    for (const auto& log : truth_.all(name))
      v->candidates.push_back(&log);
  if (v->epoch.empty()) {
    std::erase_if(v->candidates, [&](const auto* log) { return !same(*log); });
    if (v->candidates.size() == 1) {
      v->epoch = v->candidates.front()->epoch;
      v->candidates.clear();
    } else if (v->candidates.empty()) {
      return wrong(name, "entry " + number(at) + " is in no log: " + x.dump());
    }
  } else if (const auto* log = truth_.find(name, v->epoch); log == nullptr || !same(*log)) {
    return wrong(name, "entry " + number(at) + " is not what the log " + v->epoch +
                           " holds there: " + x.dump());
  }
  v->at = at;
  v->id = *model::parse_entry_id(x["id"].get_ref<const std::string&>());
}

bool witness::gone(const std::string& name, const view& v) const {
  const auto* log = truth_.find(name, v.epoch);
  if (log != nullptr)
    return log->deleted_at != 0;
  // Of a log whose epoch was never told: any that has gone.
  return std::any_of(truth_.all(name).begin(), truth_.all(name).end(),
                     [](const incarnation& y) { return y.deleted_at != 0; });
}

void witness::reset(const json& x, const std::string& name) {
  auto* v = expecting(name, "reset");
  if (v == nullptr)
    return;
  const auto& reason = x["reason"].get_ref<const std::string&>();
  const auto& epoch = x["epoch"].get_ref<const std::string&>();
  if (reason == "trimmed") {
    model::seq from{x["missing"][0].get<std::uint64_t>()};
    model::seq through{x["missing"][1].get<std::uint64_t>()};
    if (v->reset_due)
      return wrong(name, "a trimmed reset instead of the one that the resume position calls for");
    if (v->epoch.empty())
      v->epoch = epoch;
    const auto* log = truth_.find(name, epoch);
    if (v->epoch != epoch || log == nullptr || from != v->at.next() || through < from ||
        through >= log->first)
      return wrong(name,
                   "a trimmed reset that is not true after " + number(v->at) + ": " + x.dump());
    v->at = through;
    v->id = {};
    return;
  }
  auto known = epoch.empty() || truth_.find(name, epoch) != nullptr;
  auto due = std::exchange(v->reset_due, false);
  auto deleted = reason == "deleted";
  if (!known || deleted != (epoch.empty() && !due) || (reason != "epoch" && !deleted))
    return wrong(name, "a reset that names no log: " + x.dump());
  if (!due && !gone(name, *v))
    return wrong(name, "a reset without a reason: " + x.dump());
  *v = {.active = true,
        .asked = v->asked,
        .epoch = epoch,
        .at = {},
        .id = {},
        .candidates = {}};
}

void witness::live(const json& x, const std::string& name) {
  auto* v = expecting(name, "live");
  if (v == nullptr)
    return;
  if (x["seq"].get<std::uint64_t>() != v->at.value)
    wrong(name, "live at " + x["seq"].dump() + " after " + number(v->at));
  if (v->told_closed)
    wrong(name, "live after closed");
  // Of several logs that begin alike this says which one it is.
  if (std::exchange(v->candidates, {}).size() > 1)
    v->epoch = x["epoch"].get<std::string>();
  v->live = true;
}

void witness::closed(const json& x, const std::string& name) {
  auto* v = expecting(name, "closed");
  if (v == nullptr)
    return;
  const auto* log = truth_.find(name, v->epoch);
  if (log == nullptr || !log->closed || log->tail() != v->at ||
      x["seq"].get<std::uint64_t>() != v->at.value)
    wrong(name, "closed, but the log is not, or goes on: " + x.dump());
  if (std::exchange(v->told_closed, true))
    wrong(name, "closed twice");
}

void witness::unsubscribed(const json& x, const std::string& name) {
  if (x.value("reason", std::string{}) != "superseded")
    answered(x, question::kind::unsubscribe, name);
  views_[name].active = false;
}

void witness::published(const json& x, const std::string& name) {
  auto* q = answered(x, question::kind::publish, name);
  if (q == nullptr)
    return;
  model::seq at{x["seq"].get<std::uint64_t>()};
  const auto& id = x["id"].get_ref<const std::string&>();
  const auto& drafts = q->drafts.drafts;
  for (const auto& y : drafts)
    ledger_.possible(y.payload);
  if (answers && !q->drafts.producer.empty())
    answers(name, q->drafts, true);
  auto holds = [&](const incarnation& log) {
    // Whoever answers with a log that was gone before the question answers another question.
    if (log.deleted_at != 0 && log.deleted_at < q->moment)
      return false;
    for (std::size_t i = 0; i < drafts.size(); ++i)
      if (const auto* e = log.at({at.value + i}); e == nullptr || e->payload != drafts[i].payload)
        return false;
    return to_string(log.at(at)->id) == id;
  };
  const auto& logs = truth_.all(name);
  if (std::none_of(logs.begin(), logs.end(), holds))
    return wrong(name,
                 "a receipt for what the log does not hold at " + number(at) + ": " + x.dump());
  auto still = q->there && q->log->deleted_at == 0;
  if (still && (at != *q->there || !x["duplicate"].get<bool>()))
    wrong(name, "a retry got another receipt than the first attempt: " + x.dump());
}

void witness::refused(const json& x, const std::string& name) {
  const auto& code = x["code"].get_ref<const std::string&>();
  auto i = x.contains("ref") ? questions_.find(x["ref"].dump()) : questions_.end();
  if (i == questions_.end()) {
    // The subscription ends: its pages could not be read.
    auto unread = truth_.unreadable() || gone(name, views_[name]);
    if (x.contains("ref") || !views_[name].active || code != "read_failed" || !unread)
      wrong(name, "an error for no reason: " + x.dump());
    views_[name].active = false;
    return;
  }
  auto q = std::move(i->second);
  questions_.erase(i);
  if (q.name != name)
    return wrong(name, "an error with the ref of another conversation");
  auto may = [&](std::initializer_list<std::string_view> codes) {
    if (std::find(codes.begin(), codes.end(), code) == codes.end())
      wrong(name, "an error that nothing here can cause: " + x.dump());
  };
  switch (q.what) {
  case question::kind::subscribe:
    may({"superseded", truth_.unreadable() ? "read_failed" : "superseded"});
    // A later subscribe keeps the old subscription until its own answer.
    if (code != "superseded" && views_[name].asked == q.moment)
      views_[name].active = false;
    return;
  case question::kind::unsubscribe:
    return may({"not_subscribed"});
  case question::kind::ack:
    return may({"store_failed"});
  case question::kind::publish:
    if (answers && !q.drafts.producer.empty())
      answers(name, q.drafts, code == "producer_old");
    break;
  }
  // Where the outcome of an earlier try got lost, one that was appended in a log that is gone by
  // now may be called old in the next one.
  // Likewise one that its second node has refused may be on its way at the first.
  auto elsewhere = truth_.several_nodes && code != "append_unknown";
  if (code == "append_unknown" || code == "producer_old" || elsewhere) {
    for (const auto& y : q.drafts.drafts)
      ledger_.possible(y.payload);
    if (code == "append_unknown")
      return;
  }
  may({"closed", truth_.faults.append_failed > 0 || truth_.cut_off ? "store_failed" : "closed",
       truth_.cut_off ? "read_failed" : "closed",
       q.drafts.producer.empty() ? "closed" : "producer_gap",
       // Of this log, or with an entry that is still there, it would be found. In the successor of
       // a deleted log its producer may have begun with a higher number.
       !q.drafts.producer.empty() && (!q.there || *q.there < q.log->first || q.log->deleted_at != 0)
           ? "producer_old"
           : "closed"});
  const auto& logs = truth_.all(name);
  if (code == "closed" && std::none_of(logs.begin(), logs.end(), [&](const incarnation& y) {
        return y.closed && (y.deleted_at == 0 || y.deleted_at > q.moment);
      }))
    wrong(name, "an open conversation refused a draft as closed");
  if (code == "producer_gap" && q.log != nullptr && q.log->deleted_at == 0 &&
      x["expected"].get<std::uint64_t>() <= q.number_there)
    wrong(name, "a gap behind what was appended: " + x.dump());
  auto away = truth_.cut_off && (code == "read_failed" || code == "store_failed");
  if (q.there && q.log->deleted_at == 0 && code != "producer_old" && !away)
    wrong(name, "a retry of what was appended was refused: " + x.dump());
}

// ---- the end ----------------------------------------------------------------------------------

void witness::ended() {
  for (const auto& [ref, q] : questions_)
    for (const auto& y : q.drafts.drafts)
      ledger_.possible(y.payload);
  questions_.clear();
}

void witness::quiet() {
  if (!questions_.empty())
    wrong(questions_.begin()->second.name, "no answer to command " + questions_.begin()->first);
  for (const auto& [name, v] : views_) {
    if (!v.active)
      continue;
    const auto* log = truth_.current(name);
    auto tail = log == nullptr ? model::seq{} : log->tail();
    if (v.reset_due || v.at != tail || !v.live)
      wrong(name, "all is quiet at " + number(tail) + ", but this reader stands at " +
                      number(v.at) + (v.live ? ", live" : ", not live"));
    if (log != nullptr && v.told_closed != log->closed)
      wrong(name, "was not told that the conversation is closed");
  }
}

} // namespace confab::test
