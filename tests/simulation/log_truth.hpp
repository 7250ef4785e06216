// What really became of every conversation's log: written down beside the store, never forgotten.
#pragma once

#include "store/log_store.hpp"

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace confab::test {

/// One incarnation of a log. Entries stay here when retention or a deletion has removed them.
struct incarnation {
  std::string epoch;
  /// Entry i has seq i + 1.
  std::vector<model::entry> entries;
  model::seq first{1};
  bool closed = false;
  /// Moment of the deletion; 0: it lives.
  std::uint64_t deleted_at = 0;

  [[nodiscard]] model::seq tail() const { return {entries.size()}; }
  /// The entry at a place, or null.
  [[nodiscard]] const model::entry* at(model::seq x) const {
    return x.value >= 1 && x <= tail() ? &entries[x.value - 1] : nullptr;
  }
  [[nodiscard]] model::log_state state() const;
};

/// Ways in which the store may fail; each a chance in 1000 per call.
struct store_faults {
  unsigned append_failed = 0;
  /// The outcome cannot be told, and nothing was appended: the store fences what may have been
  /// written.
  unsigned append_unknown = 0;
  unsigned read_failed = 0;
};

class log_truth {
public:
  /// Something that the log itself may never do has happened: what, for a person. Empty: all is
  /// well.
  std::string defect;
  /// Rises with everything that happens in the simulation.
  std::uint64_t moment = 1;
  store_faults faults;
  /// A draft may be under way at two nodes: after a link broke, nobody knows of the first.
  bool several_nodes = false;
  /// Nodes may be cut off from the log.
  bool cut_off = false;
  /// Producers that number from 1 and send what was not taken again, in order, before anything new.
  std::set<std::string> in_order;
  /// No more faults from here on.
  bool calm = false;
  /// A number below n.
  std::function<unsigned(unsigned n)> pick;
  /// Called for each commit of a conversation, with its newest entries.
  std::function<void(const std::string& name, std::span<const model::entry> newest)> committed;

  /// For CONFAB_TRACE: takes a line about each thing that happens.
  std::function<void(const std::string& line)> trace;
  void tell(const std::string& line) const {
    if (trace)
      trace(line);
  }

  /// The log as it is now, or null if there is none.
  [[nodiscard]] const incarnation* current(const std::string& name) const;
  [[nodiscard]] const incarnation* find(const std::string& name, const std::string& epoch) const;
  [[nodiscard]] const std::deque<incarnation>& all(const std::string& name) const;

  [[nodiscard]] std::unique_ptr<store::log_writer> watch(std::unique_ptr<store::log_writer> x);
  [[nodiscard]] std::unique_ptr<store::log_reader> watch(std::unique_ptr<store::log_reader> x);

  /// Whether something may go unread for no fault of the server.
  [[nodiscard]] bool unreadable() const noexcept { return faults.read_failed > 0 || cut_off; }

private:
  friend class watched_writer;
  friend class watched_reader;

  incarnation* living(const std::string& name);
  void appended(const std::string& name, const std::string& epoch, const store::append& x);
  bool happens(unsigned chance) { return !calm && chance > 0 && pick(1000) < chance; }

  std::map<std::string, std::deque<incarnation>> logs_;
  /// (name, epoch, producer, epoch of the producer, number): one publish, one entry.
  std::set<std::tuple<std::string, std::string, std::string, std::uint32_t, std::uint64_t>>
      numbers_;
  /// The highest number by (name, producer), in whichever log.
  std::map<std::pair<std::string, std::string>, std::uint64_t> highest_;
};

} // namespace confab::test
