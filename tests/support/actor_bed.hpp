// The actors of a node over a store in memory whose writer does as it is told; a test steps them
// one by one.
#pragma once

#include "actors/connection.hpp"
#include "actors/conversation.hpp"
#include "actors/directory.hpp"
#include "actors/log_reader.hpp"
#include "actors/log_writer.hpp"
#include "net/hub.hpp"
#include "support/deterministic_system.hpp"

#include <caf/send.hpp>

#include <deque>

namespace confab::test {

/// Detail of a scripted error: the append is in the log, and only its outcome was lost.
inline constexpr const char* committed_anyway = "test: committed anyway";

/// Commits, unless the script says otherwise.
class scripted_writer final : public store::log_writer {
public:
  explicit scripted_writer(std::unique_ptr<store::log_writer> inner) : inner_{std::move(inner)} {}

  /// What becomes of the next appends, in order, each for itself; nothing or no more: they commit.
  std::deque<std::optional<model::error>> script;
  /// Appends per transaction; and how many were refused by the log itself.
  std::vector<std::size_t> transactions;
  std::size_t refused = 0;

  model::result<store::log_head> open(const model::conversation_name& x) override {
    return inner_->open(x);
  }
  std::vector<store::chain_outcome> commit(std::span<const store::chain* const> chains,
                                           std::int64_t now_ms) override {
    std::vector<store::chain_outcome> outcomes;
    std::size_t appends = 0;
    for (const auto* x : chains) {
      appends += x->appends.size();
      auto offered = *x;
      std::optional<model::error> failure;
      for (std::size_t i = 0; i < x->appends.size() && !failure && !script.empty(); ++i) {
        failure = script.front();
        script.pop_front();
        if (failure)
          offered.appends.resize(i + (failure->detail == committed_anyway ? 1 : 0));
      }
      store::chain_outcome done;
      if (offered.appends.empty()) {
        done.state = inner_->open(x->name)->state;
      } else {
        const auto* pointer = &offered;
        done = inner_->commit(std::span{&pointer, 1}, now_ms).front();
        refused += done.failure ? 1 : 0;
        if (!done.failure && failure && failure->detail == committed_anyway)
          --done.committed;
      }
      if (!done.failure)
        done.failure = failure;
      outcomes.push_back(std::move(done));
    }
    transactions.push_back(appends);
    return outcomes;
  }
  model::result<std::optional<store::producer_row>>
  producer(const model::conversation_name& x, std::string_view p, std::int64_t now) override {
    return inner_->producer(x, p, now);
  }
  model::result<std::optional<model::receipt>> older_receipt(const model::conversation_name& x,
                                                             std::string_view p,
                                                             std::uint64_t number) override {
    return inner_->older_receipt(x, p, number);
  }
  model::result<model::created> create(const model::conversation_name& x,
                                       const model::creation& what, std::int64_t now) override {
    return inner_->create(x, what, now);
  }
  model::status touch(const model::conversation_name& x, const model::epoch& epoch,
                      std::int64_t expires_ms) override {
    return inner_->touch(x, epoch, expires_ms);
  }
  model::result<model::log_state> close(const model::conversation_name& x) override {
    return inner_->close(x);
  }
  model::status remove(const model::conversation_name& x) override { return inner_->remove(x); }
  model::status move_cursors(std::span<const store::cursor_move> x, std::int64_t now) override {
    return inner_->move_cursors(x, now);
  }
  std::vector<store::trim> retain(std::int64_t now, bool& more) override {
    return inner_->retain(now, more);
  }
  store::stream_ledger* ledger() noexcept override { return inner_->ledger(); }
  store::health health() const override { return inner_->health(); }

private:
  std::unique_ptr<store::log_writer> inner_;
};

/// What a connection would be told by a conversation.
struct told {
  std::map<std::uint64_t, std::vector<model::result<model::receipt>>> answers;
  int superseded = 0;
};

inline actors::client_actor::behavior_type recorder(actors::client_actor::pointer, told* out) {
  return {
      [out](actors::atom::receipts, const actors::append_answers& xs) {
        for (const auto& x : xs.answers)
          out->answers[x.request].push_back(x.got);
      },
      [out](actors::atom::superseded, const model::conversation_name&) { ++out->superseded; },
  };
}

/// A session that writes down its events.
class event_recorder final : public net::session {
public:
  void take(net::event& x) override { events.push_back(std::move(x)); }
  std::int64_t due(std::int64_t) override { return 0; }
  void drain(std::int64_t) override {}
  void cut() override {}
  /// The events of one kind.
  template <class Event>
  std::vector<Event> of() const {
    std::vector<Event> result;
    for (const auto& x : events)
      if (const auto* y = std::get_if<Event>(&x))
        result.push_back(*y);
    return result;
  }
  std::vector<net::event> events;
};

class actor_bed : public net::backend {
public:
  explicit actor_bed(actors::limits bounds = {.gather_us = 0}) : env{bounds, cache, "test"} {
    env.wall_ms = [this] { return 1'700'000'000'000 + system.now_ms(); };
    auto session = std::make_shared<scripted_writer>(store->writer());
    log = session.get();
    writer =
        system.system.spawn(actors::log_writer, std::shared_ptr<store::log_writer>{session}, &env);
    readers.push_back(system.system.spawn(
        actors::log_reader, std::shared_ptr<store::log_reader>{std::move(*store->reader())}, &pages,
        &env));
    directory = system.system.spawn(actors::directory, writer, actors::stream_actors{}, &env);
    client = system.system.spawn(recorder, &heard);
    system.run();
  }
  ~actor_bed() override {
    system.run();
    pass();
    for (auto& [id, x] : sessions)
      hub.remove(id);
    caf::anon_send_exit(directory, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(writer, caf::exit_reason::user_shutdown);
    for (auto& x : readers)
      caf::anon_send_exit(x, caf::exit_reason::user_shutdown);
  }

  std::unique_ptr<net::actor_turns> join(std::function<void()>) override { return nullptr; }
  std::unique_ptr<net::client_port> connect(net::client_ref, net::client_identity) override {
    return nullptr;
  }
  void read(net::page_request) override {}
  net::readiness ready() const override { return {}; }

  /// Lets one actor handle `n` messages, if it has so many.
  template <class Handle>
  void let(const Handle& x, int n = 1) {
    for (; n > 0 && system.scheduler.prioritize(x); --n)
      system.scheduler.run_once();
  }
  void pass() {
    while (std::exchange(awake, false))
      hub.pass();
  }
  /// Everything that can happen now.
  void run() {
    system.run();
    pass();
  }
  void advance(std::int64_t ms) {
    system.advance(std::chrono::milliseconds{ms});
    run();
  }

  actors::conversation_actor conversation_of(const model::conversation_name& x) {
    caf::scoped_actor self{system.system};
    auto asked = self->request(directory, caf::infinite, actors::atom::lookup::value, x);
    system.run();
    actors::conversation_actor found;
    asked.receive([&](const actors::conversation_actor& y) { found = y; },
                  [](const caf::error&) {});
    return found;
  }
  /// Sends a draft to a conversation as the recorder; the answer is under `request`.
  void publish(const actors::conversation_actor& to, std::uint64_t request, std::string producer,
               std::uint64_t number, bool retried = false) {
    auto drafts = std::make_shared<model::batch>();
    drafts->drafts.push_back({.sender = "a",
                              .kind = "message",
                              .payload = std::to_string(request),
                              .message = {},
                              .source_id = {}});
    drafts->producer = std::move(producer);
    drafts->producer_seq = number;
    caf::anon_send(to, actors::atom::append::value,
                   actors::publication{request, drafts, retried, client});
  }
  /// The one answer to a request: `5` a seq, `5!` a duplicate, else the error's code; `none` or
  /// `many` otherwise.
  std::string answer(std::uint64_t request) {
    const auto& all = heard.answers[request];
    if (all.size() != 1)
      return all.empty() ? "none" : "many";
    const auto& x = all.front();
    if (!x)
      return std::string{to_string(x.why().what)};
    return std::to_string(x->first.value) + (x->duplicate ? "!" : "");
  }
  /// The readers, as actors are given them.
  std::shared_ptr<const std::vector<actors::log_reader_actor>> pool() const {
    return std::make_shared<const std::vector<actors::log_reader_actor>>(readers);
  }
  /// What the log holds: payloads, in order.
  std::string logged(const model::conversation_name& x) {
    auto page = (*store->reader())->page(x, {1}, {1000});
    std::string result;
    for (const auto& e : page->entries)
      result += (result.empty() ? "" : " ") + e.payload;
    return result;
  }

  /// A connection with a session that records.
  struct line {
    actors::connection_actor actor;
    std::shared_ptr<event_recorder> session;
    void tell(net::command x) const {
      caf::anon_send(actor, actors::atom::command::value, std::move(x));
    }
    void end() const { caf::anon_send(actor, actors::atom::gone::value); }
  };
  line dial(const std::string& who) {
    auto session = std::make_shared<event_recorder>();
    auto id = hub.add(session);
    sessions.emplace(id, session);
    using pool = decltype(actors::connection_place::readers);
    actors::connection_place place{directory, writer, pool_of<pool>(), {++connections}};
    return {system.system.spawn(actors::connection, std::move(place), net::client_ref{&hub, id},
                                net::client_identity{"anonymous", who}, &env),
            session};
  }

  /// Of which retention leaves one entry, when a test asks for it.
  static model::conversation_name short_room() { return *model::conversation_name::parse("short"); }
  static model::conversation_name room() { return *model::conversation_name::parse("room"); }
  static net::subscribe_command subscribing(const std::string& ref) {
    return {ref, room(),
            model::resume_request{.from = {.what = model::after::form::start},
                                  .epoch = std::nullopt,
                                  .id = std::nullopt}};
  }

  model::byte_budget cache{1 << 26};
  net::pages pages{*this, cache};
  bool awake = false;
  net::hub hub{net::hub_limits{.ring = {}}, pages, [this] { awake = true; }};
  std::unique_ptr<store::log_store> store = in_memory([this] { return env.wall_ms(); });
  actors::environment env;
  scripted_writer* log = nullptr;
  told heard;
  std::map<std::uint64_t, std::shared_ptr<event_recorder>> sessions;
  std::uint64_t connections = 0;
  deterministic_system system;
  actors::ledger_writer_actor writer;
  std::vector<actors::log_reader_actor> readers;
  actors::directory_actor directory;
  actors::client_actor client;

private:
  static std::unique_ptr<store::log_store> in_memory(std::function<std::int64_t()> wall_ms) {
    store::options how;
    how.wall_ms = std::move(wall_ms);
    how.directory = ":memory:";
    how.retention = {{.pattern = "short", .entries_max = 1}};
    return std::move(*store::open(how));
  }
  template <class Pool>
  Pool pool_of() {
    if constexpr (std::is_constructible_v<Pool, std::vector<actors::log_reader_actor>&>)
      return readers;
    else
      return std::make_shared<const std::vector<actors::log_reader_actor>>(readers);
  }
};

} // namespace confab::test
