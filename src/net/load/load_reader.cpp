#include "net/load/load_reader.hpp"

#include "net/load/load_thread.hpp"

namespace confab::net::load {

load_reader::load_reader(load_thread& home, std::uint32_t number, socket_settings how,
                         std::unique_ptr<load_port> port)
  : load_socket{home, number, std::move(how), std::move(port)},
    of_{board_.conversations[how_.conversation]}, received_{of_.check} {}

void load_reader::prepare(purpose& what) {
  live_ = false;
  if (!followed_)
    return;
  if (!board_.server.about().resumes)
    return received_.began_again();
  // Without a place of its own it begins as it did: nothing has come yet.
  if (!token_.empty())
    what.after = place{received_.last_seq(), token_};
}

void load_reader::opened() {}

void load_reader::following(const place& at) {
  const bool says = !at.token.empty();
  const bool known = board_.server.about().seqs && says;
  if (!followed_ && known)
    received_.begin_after(at.seq);
  else if (!followed_ && !board_.server.about().seqs && !of_.begun)
    received_.begin_whole();
  else if (followed_ && known && board_.server.about().resumes)
    received_.resumed_at(at.seq);
  // Else it would come back from nowhere if the connection were lost before the first entry.
  if (says && token_.empty())
    token_ = at.token;
  followed_ = true;
}

void load_reader::live() {
  if (std::exchange(live_, true))
    return; // again, after a lag
  load_counters::add(home_.counters().opened);
  tell(load_event::what::live);
}

void load_reader::entry(std::string_view conversation, std::uint64_t seq,
                        std::string_view payload) {
  auto& counters = home_.counters();
  load_counters::add(counters.entries);
  load_counters::add(counters.payload_bytes, payload.size());
  auto stamp = model::parse_stamp(payload);
  if (stamp && !conversation.empty() && conversation != of_.name)
    stamp.reset();
  if (!how_.timed || !stamp)
    return received_.take(seq, stamp);
  load_counters::add(counters.timed_entries);
  auto due = stamp->due_ns;
  if (stamp->compact && board_.times)
    due = board_.times->of(how_.conversation, received_.whole_number(*stamp)).value_or(0);
  received_.take(seq, stamp);
  if (due <= 0)
    return;
  home_.lately.record(home_.read_ns() - due);
  if (board_.in_window(due))
    home_.deliveries.record(home_.read_ns() - due);
}

void load_reader::at(std::string_view token) {
  token_.assign(token);
}

void load_reader::missing(std::uint64_t from, std::uint64_t to, std::string_view) {
  received_.announced(from, to);
}

void load_reader::receipt(std::uint64_t, std::uint64_t, bool) {
  ended("a receipt came to a reader, which publishes nothing");
}

void load_reader::refused(std::uint64_t, std::string_view why, bool) {
  ended("the subscription was refused: " + std::string{why});
}

std::uint64_t load_reader::progress() const noexcept {
  return board_.server.about().seqs ? received_.last_seq() : received_.last_number(of_.publisher);
}

void load_reader::taken() {
  if (received_.first_offence() != nullptr) {
    auto x = received_.counts();
    auto now = x.missing + x.repeated + x.reordered + x.foreign;
    if (now > offences_)
      load_counters::add(home_.counters().offences, now - offences_);
    offences_ = now;
  }
  note_progress();
}

void load_reader::note_progress() {
  if (reached_ || progress() < of_.goal.load(std::memory_order_relaxed))
    return;
  reached_ = true;
  auto& counters = home_.counters();
  counters.reached_ns.store(home_.read_ns(), std::memory_order_relaxed);
  load_counters::add(counters.reached);
}

void load_reader::new_goal() {
  reached_ = false;
  note_progress();
}

} // namespace confab::net::load
