#include "net/load/load_publisher.hpp"

#include "net/load/load_thread.hpp"

namespace confab::net::load {

namespace {

/// A server that does not read holds publishes back; they are due all the same.
constexpr std::size_t unsent_bytes_max = 256 * 1024;

} // namespace

load_publisher::load_publisher(load_thread& home, std::uint32_t number, socket_settings how,
                               std::unique_ptr<load_port> port)
  : load_socket{home, number, std::move(how), std::move(port)},
    schedule_{how_.conversations, board_.server.about().receipts}, receipts_(how_.conversations) {}

void load_publisher::start(const model::publish_schedule::plan& x) {
  schedule_.start(x);
  running_ = true;
  pump();
}

void load_publisher::stop(std::int64_t end_ns) {
  schedule_.stop(end_ns);
  pump();
}

void load_publisher::due(std::int64_t now_ns) {
  if (armed_ns_ <= now_ns)
    armed_ns_ = model::publish_schedule::never;
  pump();
}

void load_publisher::pump() {
  auto now = now_ns();
  while (open_ && out_.size() < unsent_bytes_max) {
    auto x = schedule_.next(now);
    if (!x)
      break;
    send(*x);
  }
  if (open_ && !out_.empty())
    flush();
  if (running_ && schedule_.finished(now)) {
    running_ = false;
    tell(load_event::what::finished);
  }
  if (open_)
    arm(now);
}

void load_publisher::arm(std::int64_t now) {
  // With bytes unsent, the socket pumps when it can be written to.
  auto next = out_.empty() ? schedule_.next_ns(now) : model::publish_schedule::never;
  if (next >= armed_ns_)
    return;
  armed_ns_ = next;
  home_.wake(number_, next);
}

void load_publisher::send(const model::publish_schedule::publish& x) {
  auto index = how_.conversation + x.conversation;
  auto& of = board_.conversations[index];
  auto& counters = home_.counters();
  load_counters::add(x.again ? counters.retried : counters.published);
  of.begun.store(true, std::memory_order_relaxed);
  if (board_.times)
    board_.times->note(index, x.number, x.due_ns);
  payload_.clear();
  model::add_stamp(payload_,
                   {.publisher = how_.publisher,
                    .number = x.number,
                    .due_ns = x.due_ns,
                    .conversation = of.check},
                   how_.payload_bytes);
  dialect_->publish(out_, of.name, x.ref, x.number, payload_);
}

void load_publisher::disconnected() {
  open_ = false;
  schedule_.disconnected();
}

void load_publisher::opened() {
  open_ = true;
  load_counters::add(home_.counters().opened);
  tell(load_event::what::opened);
}

void load_publisher::receipt(std::uint64_t ref, std::uint64_t seq, bool duplicate) {
  auto x = schedule_.answered(ref);
  if (!x)
    return ended("a receipt came for what was not asked: ref " + std::to_string(ref));
  auto& counters = home_.counters();
  load_counters::add(counters.receipts);
  if (duplicate)
    load_counters::add(counters.duplicates);
  if (board_.in_window(x->due_ns))
    home_.receipts.record(home_.read_ns() - x->due_ns);
  if (home_.readers().empty())
    home_.lately.record(home_.read_ns() - x->due_ns);
  auto& known = receipts_[x->conversation];
  if (known.size() < x->number)
    known.resize(x->number, 0);
  auto& at = known[x->number - 1];
  if (at != 0 && at != seq && contradiction_.empty())
    contradiction_ = "number " + std::to_string(x->number) + " has receipts with seq " +
                     std::to_string(at) + " and " + std::to_string(seq);
  at = seq;
  auto& tail = board_.conversations[how_.conversation + x->conversation].tail;
  auto highest = tail.load(std::memory_order_relaxed);
  while (seq > highest && !tail.compare_exchange_weak(highest, seq, std::memory_order_relaxed)) {
  }
}

void load_publisher::refused(std::uint64_t ref, std::string_view why, bool retry) {
  load_counters::add(home_.counters().refused);
  auto x = schedule_.refused(ref, retry, now_ns());
  if (!x)
    return ended("a refusal came for what was not asked: " + std::string{why});
  if (schedule_.given_up())
    tell(load_event::what::given_up,
         "publish " + std::to_string(x->number) + " into " +
             board_.conversations[how_.conversation + x->conversation].name +
             " was refused: " + std::string{why});
}

void load_publisher::following(const place&) {}

void load_publisher::live() {}

void load_publisher::entry(std::string_view, std::uint64_t, std::string_view) {
  ended("an entry came to a publisher, which follows nothing");
}

void load_publisher::at(std::string_view) {}

void load_publisher::missing(std::uint64_t, std::uint64_t, std::string_view) {}

} // namespace confab::net::load
