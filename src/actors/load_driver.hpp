// The clients of a load run, by groups: opens them a few at a time, shares plans out, counts their
// states.
#pragma once

#include "actors/load_interfaces.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <functional>

namespace confab::actors {

/// Makes the actor of a client and its socket. @param number unique in the run, from 0.
using load_client_factory = std::function<load_client_actor(
    std::uint32_t number, net::load::socket_settings how, load_watch_actor watch)>;

struct load_driver_state {
  using self_pointer = load_driver_actor::stateful_pointer<load_driver_state>;

  explicit load_driver_state(self_pointer parent) : self{parent} {}

  client_group spawn(const group_order& x);
  void open(const open_order& x);
  void drop(const drop_order& x);
  void churn(const churn_group_order& x);
  void pause(const pause_order& x);
  void publish(const publish_order& x);
  void finish(const finish_order& x);
  void report(const client_report& x);
  [[nodiscard]] load_overview overview() const;

  struct client {
    load_client_actor actor;
    std::uint32_t group = 0;
    client_state state = client_state::closed;
    std::string name;
    std::uint32_t plans = 0;
    std::uint32_t plans_finished = 0;
  };
  struct group {
    std::string name;
    std::uint32_t first = 0;
    std::uint32_t size = 0;
    std::array<std::uint32_t, client_states> count{};
    std::uint32_t finished = 0;
    /// Still to be opened: [next, first + size), so many at a time.
    std::uint32_t next = 0;
    std::uint32_t at_once = 0;
  };

  void open_more(group& x);
  template <class... Args>
  void tell_all(client_group who, const Args&... args);

  self_pointer self;
  load_client_factory make;
  std::vector<client> clients;
  std::vector<group> groups;
  std::string trouble;
  std::string failure;

  static inline const char* name = "load_driver";
};

load_driver_actor::behavior_type load_driver(load_driver_state::self_pointer self,
                                             load_client_factory make);

} // namespace confab::actors
