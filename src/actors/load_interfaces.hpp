// Every actor interface of a load test, in dependency order.
//
//   load_run ──spawn, open, drop, publish──> LOAD_DRIVER ──orders──> LOAD_CLIENT ──wishes──> load
//   thread
//      ^                                        │  ^ reports             │  ^ opened, live, lost │
//      └──────────────── overview ───────────── ┘  └──────────────────── ┘  └──────────────────────
//      ┘
//
// No message per entry: what comes in and goes out is checked and counted in the load threads.
#pragma once

#include "net/load/load_line.hpp"

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/atom.hpp>
#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace confab::actors {

namespace load_atom {
using churn = caf::atom_constant<caf::atom("churn")>;
using drop = caf::atom_constant<caf::atom("drop")>;
using event = caf::atom_constant<caf::atom("event")>;
using finish = caf::atom_constant<caf::atom("finish")>;
using open = caf::atom_constant<caf::atom("open")>;
using overview = caf::atom_constant<caf::atom("overview")>;
using pause = caf::atom_constant<caf::atom("pause")>;
using publish = caf::atom_constant<caf::atom("publish")>;
using report = caf::atom_constant<caf::atom("report")>;
using spawn = caf::atom_constant<caf::atom("spawn")>;
using tick = caf::atom_constant<caf::atom("tick")>;
} // namespace load_atom

/// Where a client is in its life.
enum class client_state : std::uint8_t {
  closed,     ///< by order, or not opened yet
  connecting, ///< until it may publish, or is live
  live,
  waiting, ///< for the next try, or away for a while
};
constexpr std::size_t client_states = 4;

// LOAD_DRIVER, as clients know it
// -------------------------------------------------------------------

struct client_report {
  std::uint32_t number = 0;
  client_state state = client_state::closed;
  /// A publisher: of how many plans nothing is left.
  std::uint32_t plans_finished = 0;
  /// A publish was refused for good.
  bool given_up = false;
  /// Why it lost its connection; empty: it did not.
  std::string trouble;
};

using load_watch_actor = caf::typed_actor<
    // A client's state has changed.
    caf::reacts_to<load_atom::report, client_report>>;

// LOAD_CLIENT
// ---------------------------------------------------------------------------------------

/// Live for a while, away for a while, until told otherwise; times are drawn from [1, 2 × mean].
struct churn_order {
  std::uint32_t live_ms = 1000;
  std::uint32_t away_ms = 200;
  std::uint64_t seed = 0;
};

/// LOAD_CLIENT: one client's life: connect, publish, drop, resume with backoff, pause.
using load_client_actor = caf::typed_actor<
    // Connects, and from then on comes back whenever the connection is lost.
    caf::reacts_to<load_atom::open>,
    // Ends the connection and stays away; the flag: as when the network is gone.
    caf::reacts_to<load_atom::drop, bool>,
    // Comes and goes. With `live_ms` 0: stays.
    caf::reacts_to<load_atom::churn, churn_order>,
    // Stops or goes on reading.
    caf::reacts_to<load_atom::pause, bool>,
    // Publishes as planned; no publish is due from `finish` on.
    caf::reacts_to<load_atom::publish, model::publish_schedule::plan>,
    caf::reacts_to<load_atom::finish, std::int64_t>,
    // From its socket.
    caf::reacts_to<load_atom::event, net::load::load_event>,
    // To itself: time to come back, or to leave. The number tells stale ones.
    caf::reacts_to<load_atom::tick, std::uint64_t>>;

// LOAD_DRIVER
// ---------------------------------------------------------------------------------------

/// Clients that are told things together.
struct client_group {
  std::uint32_t id = 0;
};
struct group_order {
  std::string name;
  std::vector<net::load::socket_settings> clients;
};
/// Opens a group's clients, so many at a time on their way.
struct open_order {
  client_group who;
  std::uint32_t at_once = 256;
};
struct drop_order {
  client_group who;
  bool abrupt = true;
};
struct churn_group_order {
  client_group who;
  churn_order how;
};
struct pause_order {
  client_group who;
  bool paused = true;
};
/// The clients of the group share the rate and the number of entries; each is given `plan.flight`.
struct publish_order {
  client_group who;
  model::publish_schedule::plan plan;
};
struct finish_order {
  client_group who;
  std::int64_t end_ns = 0;
};

struct group_view {
  std::string name;
  std::uint32_t size = 0;
  /// By `client_state`.
  std::array<std::uint32_t, client_states> count{};
  /// Publishers that have nothing left.
  std::uint32_t finished = 0;

  [[nodiscard]] std::uint32_t in(client_state x) const {
    return count[static_cast<std::size_t>(x)];
  }
};
struct load_overview {
  std::vector<group_view> groups;
  /// The last loss, with its client; empty: there was none.
  std::string trouble;
  /// Why the run cannot go on; empty: it can.
  std::string failure;
};

/// LOAD_DRIVER: the clients of a run, by groups.
using load_driver_actor = load_watch_actor::extend<
    // Spawns clients, which do nothing yet.
    caf::replies_to<load_atom::spawn, group_order>::with<client_group>,
    caf::reacts_to<load_atom::open, open_order>, caf::reacts_to<load_atom::drop, drop_order>,
    caf::reacts_to<load_atom::churn, churn_group_order>,
    caf::reacts_to<load_atom::pause, pause_order>,
    caf::reacts_to<load_atom::publish, publish_order>,
    caf::reacts_to<load_atom::finish, finish_order>,
    caf::replies_to<load_atom::overview>::with<load_overview>>;

} // namespace confab::actors

// Local only: none of these ever leaves the process.
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::churn_group_order)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::churn_order)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::client_group)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::client_report)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::drop_order)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::finish_order)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::group_order)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::load_overview)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::open_order)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::pause_order)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::actors::publish_order)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::model::publish_schedule::plan)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(confab::net::load::load_event)
