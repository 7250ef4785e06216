// A whole server on one thread, without sockets, disks or a clock, and clients that do everything
// in random order.
//
// Real: conversation, connection, directory, log_writer and log_reader actors, hubs, pages, the
// store in memory; with several nodes, cluster and node_link actors, too. Simulated: sockets
// (`fake_socket`), time, scheduling, what lies between nodes (`wire`), who is a member, and what
// may be lost or fail. One seed is one run.
#pragma once

#include "actors/cluster_interfaces.hpp"
#include "actors/environment.hpp"
#include "simulation/log_truth.hpp"
#include "simulation/one_shot.hpp"
#include "simulation/shared_writer.hpp"
#include "simulation/simulated_wire.hpp"
#include "simulation/witness.hpp"
#include "support/deterministic_system.hpp"
#include "support/fake_socket.hpp"

#include <random>
#include <set>

namespace confab::test {

struct world_options {
  unsigned actions = 150;
  /// Whether logs may be closed and deleted.
  bool closes = true, deletes = true;
  bool trims = true;
  bool store_faults = true;
  /// Whether entries on their way to a hub may get lost or come twice.
  bool mangles = true;
  /// More than one: they share a log, links between them and ways to the log are cut, members come
  /// and go, and no two nodes learn of it at once.
  std::size_t nodes = 1;
  /// Whether several nodes know each other; else each is the home of everything.
  bool cluster = true;
};

class world final : public net::backend {
public:
  world(std::uint32_t seed, const world_options& how);
  ~world() override;

  /// What the wall clock says when the simulation begins.
  static constexpr std::int64_t noon_ms = 1'700'000'000'000;

  /// Random actions, then quiet, then the end of all clients. @returns what was wrong; empty:
  /// nothing.
  std::string run();

  // For clients of other kinds (see naive_server.hpp).

  [[nodiscard]] unsigned pick(unsigned n) { return static_cast<unsigned>(random_() % n); }
  [[nodiscard]] bool chance(unsigned percent) { return pick(100) < percent; }
  [[nodiscard]] log_truth& truth() noexcept { return truth_; }
  [[nodiscard]] std::size_t entries_seen() const noexcept { return entries_seen_; }

  std::unique_ptr<net::actor_turns> join(std::function<void()>) override { return nullptr; }
  std::unique_ptr<net::client_port> connect(net::client_ref session,
                                            net::client_identity who) override;
  void read(net::page_request x) override;
  net::readiness ready() const override { return {}; }

private:
  /// What a client publishes to one conversation as a producer.
  struct outbox {
    std::uint64_t last = 0;
    /// Numbers that were sent and not taken yet.
    std::set<std::uint64_t> open = {};
    /// The line on which all of them were sent.
    int line = -1;
    bool refused = false;
  };
  struct client {
    std::string id;
    /// Index in `lines_`; -1: not connected.
    int line = -1;
    std::map<std::string, view> seen = {};
    std::map<std::string, cursor_bounds> cursors = {};
    std::map<std::string, outbox> outboxes = {};
    /// Whether it does as docs/protocol.md asks: what was not taken is sent again in order, before
    /// anything new.
    bool in_order = false;
  };
  /// One connection of a client, perhaps one that it has given up but the server does not know.
  struct line {
    std::shared_ptr<fake_socket> socket;
    std::unique_ptr<witness> seen;
  };

  /// What is each node's own; hub i belongs to node `i % nodes`.
  struct node {
    std::string incarnation;
    std::unique_ptr<actors::environment> env;
    actors::log_writer_actor writer;
    actors::directory_actor directory;
    /// Null if there is one node.
    actors::cluster_actor cluster;
    bool member = true;
    /// The log cannot be reached from here.
    std::shared_ptr<bool> log_away = std::make_shared<bool>(false);
  };

  void build();
  void build_nodes();
  void build_cluster();
  [[nodiscard]] node& node_of(const net::hub& x);
  void connect_nodes(const std::string& to, const actors::link_end_actor& from,
                     const std::string& hello);
  void cluster_acts();
  void cut_wire(std::size_t i);
  void tell_members(const node& x);
  void act();
  void client_acts(client& x);
  void line_acts(line& x);
  void dial(client& x);
  void give_up(client& x);
  void subscribe(client& x);
  void publish(client& x);
  void publish_numbered(client& x, const std::string& name);
  /// All that were not taken, in order, over the client's connection.
  void send_open(client& x, const std::string& name);
  [[nodiscard]] bool connected(const client& x) const;
  /// What was refused can be sent again, when all is quiet, and is taken.
  void empty_outboxes();
  void check_outboxes();
  void send_number(client& x, const std::string& name, std::uint64_t number);
  void send_drafts(client& x, const std::string& name, std::shared_ptr<model::batch> drafts,
                   const std::string& stem, unsigned count);
  void acknowledge(client& x);
  void ask_once();
  void mangle();
  void pass_time(std::int64_t ms);
  /// Everything that is on its way arrives, and time passes.
  void settle();
  /// All clients leave; conversations are passivated; nothing may be left.
  void end_all();
  void check_payloads();
  /// What every conversation waits for, for CONFAB_TRACE.
  void tell_conversations() const;
  [[nodiscard]] model::resume_request some_start(client& x, const std::string& name);
  [[nodiscard]] const std::string& some_name() {
    return names_[pick(static_cast<unsigned>(names_.size()))];
  }
  [[nodiscard]] std::string next_ref() { return std::to_string(++refs_); }
  net::hub& some_hub() { return *hubs_[pick(static_cast<unsigned>(hubs_.size()))]; }
  void note(const std::string& what) {
    if (fault_.empty())
      fault_ = what;
  }

  const world_options how_;
  std::mt19937 random_;
  log_truth truth_;
  publish_ledger ledger_;
  std::string fault_;
  std::vector<std::string> names_;
  std::int64_t skew_ms_ = 0;
  std::uint64_t refs_ = 0;
  std::uint64_t payloads_ = 0;
  std::uint64_t connections_ = 0;
  std::size_t entries_seen_ = 0;

  std::unique_ptr<store::log_store> store_;
  std::unique_ptr<model::byte_budget> cache_;
  std::unique_ptr<net::pages> pages_;
  std::vector<std::unique_ptr<net::hub>> hubs_;
  std::vector<char> awake_;
  std::unique_ptr<deterministic_system> system_;
  std::vector<node> nodes_;
  std::shared_ptr<shared_numbers> numbers_ = std::make_shared<shared_numbers>();
  std::vector<std::pair<wire_actor, wire_actor>> wires_;
  std::vector<actors::log_reader_actor> readers_;

  std::vector<client> clients_;
  std::vector<line> lines_;
  std::vector<std::shared_ptr<one_shot>> shots_;
};

} // namespace confab::test
