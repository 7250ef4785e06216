// A reader's server side as it is written at first thought, with one well-known mistake at a time.
//
// It has what the real one has (announcements that may lose their entries, pages that take a while,
// a socket that is full at any byte) and shares none of its code, so that the witness is tested and
// not the hub.
#pragma once

#include "simulation/witness.hpp"
#include "support/frame_reader.hpp"

#include <deque>
#include <random>

namespace confab::test {

enum class defect {
  none,
  history_then_subscribe, ///< Reads the page before it registers: what comes in between is lost.
  subscribe_then_history, ///< Pushes what is announced without looking at its position: entries
                          ///< come twice.
  ring_ignores_holes,     ///< Takes announced entries as if none before them could be missing.
  skips_when_full,        ///< Goes on at the tail when the socket takes no more.
};

/// One log, one reader, one seed.
class naive_follower {
public:
  naive_follower(std::uint32_t seed, defect planted);

  /// Random actions, then quiet. @returns what the witness says; empty: nothing.
  std::string run();

private:
  struct announcement {
    model::log_state state;
    std::vector<model::entry> entries;
  };

  void append();
  void ask();
  void take_announcement();
  void take_page();
  void flush();
  void register_at(model::seq at);
  void push(const model::entry& x);
  void send(std::string_view bytes);
  void refill(std::size_t bytes);
  [[nodiscard]] unsigned pick(unsigned n) { return static_cast<unsigned>(random_() % n); }

  const defect planted_;
  std::mt19937 random_;
  log_truth truth_;
  publish_ledger ledger_;
  witness witness_{truth_, ledger_, "reader"};
  frame_reader frames_;
  std::unique_ptr<store::log_store> store_;
  std::unique_ptr<store::log_writer> writer_;
  std::unique_ptr<store::log_reader> reader_;
  const model::conversation_name name_;

  std::deque<announcement> inbox_;
  std::optional<model::page> page_;
  bool page_asked_ = false;
  bool asked_ = false, registered_ = false, live_ = false, told_ = false;
  model::log_state state_;
  model::seq at_;
  std::deque<model::entry> ring_;
  std::string rest_;
  std::size_t capacity_ = 0;
};

} // namespace confab::test
