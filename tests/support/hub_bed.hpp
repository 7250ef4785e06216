// A hub with its pages and fake sockets, without actors: a test announces, and answers what is
// read.
#pragma once

#include "support/fake_socket.hpp"

#include <nlohmann/json.hpp>

#include <deque>

namespace confab::test {

inline model::entry entry_at(std::uint64_t at, std::string payload = "0") {
  model::entry x;
  x.at = {at};
  x.id = {1000, at};
  x.time_ms = 1000;
  x.sender = "alice";
  x.kind = "message";
  x.payload = std::move(payload);
  return x;
}

inline std::vector<model::entry> entries(std::uint64_t from, std::uint64_t through,
                                         const std::string& payload = "0") {
  std::vector<model::entry> result;
  for (auto at = from; at <= through; ++at)
    result.push_back(entry_at(at, payload));
  return result;
}

inline model::log_state state_of_log(const std::string& epoch, std::uint64_t first,
                                     std::uint64_t tail) {
  return {.epoch = {epoch}, .first = {first}, .tail = {tail}, .tail_id = {1000, tail}};
}

/// What one client of the hub receives: `e7` an entry, `live@7`, `reset:trimmed[1,3]`, `error:…`.
struct listener {
  std::shared_ptr<fake_socket> socket;
  std::vector<std::string> got;
  /// Payloads of the entries.
  std::vector<std::string> payloads;

  void hear(std::string_view text) {
    auto x = nlohmann::json::parse(text);
    auto op = x["op"].get<std::string>();
    if (op == "entry") {
      got.push_back("e" + x["seq"].dump());
      payloads.push_back(x["payload"].dump());
    } else if (op == "reset") {
      got.push_back("reset:" + x["reason"].get<std::string>() +
                    (x.contains("missing") ? x["missing"].dump() : ""));
    } else if (op == "error") {
      got.push_back("error:" + x["code"].get<std::string>());
    } else {
      got.push_back(op + (x.contains("seq") ? "@" + x["seq"].dump() : ""));
    }
  }
  [[nodiscard]] std::string all() const {
    std::string result;
    for (const auto& x : got)
      result += (result.empty() ? "" : " ") + x;
    return result;
  }
};

class hub_bed final : public net::backend {
public:
  explicit hub_bed(model::ring_limits ring = {}, std::size_t cache_bytes = 1 << 26)
    : cache{cache_bytes}, pages{*this, cache}, hub{net::hub_limits{.ring = ring}, pages,
                                                   [this] { awake = true; }} {}
  ~hub_bed() override {
    for (auto& x : listeners_)
      x->socket->cut();
    hub.pass();
  }

  std::unique_ptr<net::actor_turns> join(std::function<void()>) override { return nullptr; }
  std::unique_ptr<net::client_port> connect(net::client_ref, net::client_identity) override {
    return nullptr;
  }
  void read(net::page_request x) override { reads.push_back(std::move(x)); }
  net::readiness ready() const override { return {}; }

  listener& join() {
    auto& x = *listeners_.emplace_back(std::make_unique<listener>());
    x.socket = std::make_shared<fake_socket>(hub, [&x](int op, std::string_view text) {
      if (op == 1)
        x.hear(text);
    });
    hub.add(x.socket);
    return x;
  }
  std::shared_ptr<net::hub_feed> open(const model::log_state& state) {
    return hub.open_feed(name, state);
  }
  /// Follows from behind `at`, in the log that the state tells of.
  void follow(listener& x, const std::shared_ptr<net::hub_feed>& feed,
              const model::log_state& state, std::uint64_t at) {
    x.socket->follow({.ref = {}, .name = name, .feed = feed, .state = state, .from = {.at = {at}}},
                     net::wire::websocket_format());
  }
  model::run_ptr run(const std::string& epoch, std::vector<model::entry> xs) {
    return std::make_shared<model::run>(std::make_shared<const model::conversation_name>(name),
                                        model::epoch{epoch}, std::move(xs), &cache);
  }
  void announce(const std::shared_ptr<net::hub_feed>& feed, const model::log_state& state,
                const std::vector<model::run_ptr>& runs = {}) {
    hub.announce(feed, state, runs);
  }
  /// Answers the oldest read.
  void answer(model::result<model::page> with) {
    auto asked = reads.front();
    reads.pop_front();
    pages.arrived(asked, std::move(with));
  }
  /// Passes until nobody wakes the hub any more.
  void pass() {
    do {
      awake = false;
      hub.pass();
    } while (awake);
  }

  const model::conversation_name name = *model::conversation_name::parse("room");
  bool awake = false;
  std::deque<net::page_request> reads;
  model::byte_budget cache;
  net::pages pages;
  net::hub hub;

private:
  std::vector<std::unique_ptr<listener>> listeners_;
};

} // namespace confab::test
