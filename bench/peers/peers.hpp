// The servers that people would use instead of Confab, as the load clients speak to them.
#pragma once

#include "net/load/dialect.hpp"

#include <memory>
#include <vector>

namespace confab::peers {

using kind_ptr = std::shared_ptr<const net::load::server_kind>;

/// nginx with nchan: `nchan` (its own memory) and `nchan-redis` (Redis as its store).
[[nodiscard]] std::vector<kind_ptr> nchan_kinds();
/// nats-server: `nats` (JetStream) and `nats-core` (no log).
[[nodiscard]] std::vector<kind_ptr> nats_kinds();
/// mosquitto: `mosquitto` (readers with QoS 0) and `mosquitto-qos1`.
[[nodiscard]] std::vector<kind_ptr> mosquitto_kinds();
/// Redis: `redis-pubsub` and `redis-streams`.
[[nodiscard]] std::vector<kind_ptr> redis_kinds();
/// `socketio`, with connection state recovery.
[[nodiscard]] std::vector<kind_ptr> socketio_kinds();
/// `limit`: the bare server (bench/limit_server.hpp).
[[nodiscard]] std::vector<kind_ptr> limit_kinds();

/// All of them; bench/peers/servers.py starts and sets up a server for each.
[[nodiscard]] std::vector<kind_ptr> all_kinds();

/// A kind that is nothing but its traits and one class of dialect.
/// @tparam Dialect constructed from `const Setting&`.
template <class Dialect, class Setting>
class simple_kind : public net::load::server_kind {
public:
  simple_kind(traits about, Setting with) : about_(std::move(about)), with_(with) {}
  [[nodiscard]] const traits& about() const noexcept override { return about_; }
  [[nodiscard]] std::unique_ptr<net::load::dialect> speak() const override {
    return std::make_unique<Dialect>(with_);
  }

private:
  traits about_;
  Setting with_;
};

} // namespace confab::peers
