#include "bench/audit.hpp"

#include "model/log_digest.hpp"
#include "net/load/log_pages.hpp"

#include <map>
#include <vector>

namespace confab::bench {

namespace {

using net::load::load_conversation;
using net::load::load_publisher;
using net::load::load_reader;

std::string text_of(const model::offence& x) {
  std::string text{to_string(x.kind)};
  if (x.publisher == 0) // publishers are counted from 1
    return text + ": a payload that nobody published";
  text += ": number " + std::to_string(x.number) + " of publisher " + std::to_string(x.publisher);
  if (x.expected != 0)
    text += ", expected " + std::to_string(x.expected);
  return text;
}

class auditor {
public:
  auditor(const net::load::load_board& board, std::span<load_publisher* const> publishers,
          verdict& into)
    : board_{board}, into_{into} {
    for (auto* x : publishers)
      for (std::uint32_t i = 0; i < x->settings().conversations; ++i)
        publishers_[&board.conversations[x->settings().conversation + i]].push_back({x, i});
  }

  void offend(std::string client, const load_conversation& of, std::uint64_t seq,
              std::string what) {
    if (!into_.first)
      into_.first = verdict::offender{std::move(client), of.name, seq, std::move(what)};
    into_.result = verdict::outcome::broken;
  }

  /// What the reader itself saw, once the end is known.
  void check(load_reader& x) {
    const auto& of = x.conversation();
    if (board_.server.about().seqs)
      x.received().ended_at(of.tail);
    for (const auto& [publisher, i] : publishers_[&of])
      x.received().ended_at(publisher->settings().publisher, publisher->last_number(i));
    into_.entries += x.received().counts();
    if (const auto* wrong = x.received().first_offence())
      offend(x.settings().what.client, of, wrong->seq, text_of(*wrong));
  }

  void check_receipts(const load_conversation& of, const model::log_digest* log) {
    std::uint64_t receipts = 0;
    for (const auto& [publisher, i] : publishers_[&of]) {
      const auto& client = publisher->settings().what.client;
      if (!publisher->contradiction().empty())
        offend(client, of, 0, publisher->contradiction());
      const auto& seqs = publisher->receipts(i);
      for (std::size_t n = 0; n < seqs.size(); ++n) {
        ++receipts;
        auto stamp = model::stamp{.publisher = publisher->settings().publisher,
                                  .number = n + 1,
                                  .due_ns = 0,
                                  .conversation = of.check};
        if (publisher->settings().payload_bytes < model::stamp_bytes_min)
          stamp = compacted(stamp);
        if (log == nullptr || log->holds(seqs[n], stamp))
          continue;
        ++into_.receipts_missing_in_log;
        offend(client, of, seqs[n],
               "the receipt of number " + std::to_string(n + 1) +
                   " names a seq where the log holds another entry or none");
      }
    }
    into_.receipts += receipts;
    if (log == nullptr)
      return;
    // Each receipt is at its place; so one more entry is one that nobody asked for.
    const auto order = log->order().counts();
    if (const auto* wrong = log->order().first_offence())
      offend("the log", of, wrong->seq, text_of(*wrong));
    else if (order.entries != receipts)
      offend("the log", of, log->last(),
             "holds " + std::to_string(order.entries) + " entries, " + std::to_string(receipts) +
                 " were receipted");
  }

  void compare(load_reader& x, const model::log_digest& log) {
    using comparison = model::log_digest::comparison;
    auto result = log.compare(x.received());
    if (result == comparison::not_comparable)
      return;
    ++into_.readers_compared_with_log;
    if (result == comparison::same)
      return;
    ++into_.readers_different_from_log;
    offend(x.settings().what.client, x.conversation(), x.received().last_seq(),
           "what it received through this seq is not what the log holds");
  }

private:
  struct writer {
    load_publisher* who;
    std::uint32_t index;
  };

  const net::load::load_board& board_;
  verdict& into_;
  std::map<const load_conversation*, std::vector<writer>> publishers_;
};

} // namespace

std::string audit(const net::load::load_board& board, std::span<load_reader* const> readers,
                  std::span<load_publisher* const> publishers, double patience_s,
                  std::size_t entries_max, verdict& into) {
  into.result = verdict::outcome::kept;
  auditor judge{board, publishers, into};
  std::map<const load_conversation*, std::vector<load_reader*>> readers_of;
  for (auto* x : readers) {
    judge.check(*x);
    readers_of[&x->conversation()].push_back(x);
  }
  net::load::log_pages pages{board.at, patience_s};
  for (const auto& of : board.conversations) {
    if (!board.server.about().pages) {
      judge.check_receipts(of, nullptr);
      continue;
    }
    model::log_digest log{of.check, entries_max};
    auto why = pages.read(of.name, [&](std::uint64_t seq, std::string_view payload) {
      static_cast<void>(log.add(seq, model::parse_stamp(payload)));
    });
    if (!why.empty()) {
      if (into.result == verdict::outcome::kept)
        into.result = verdict::outcome::not_completed;
      return "the log of " + of.name + " could not be read: " + why;
    }
    judge.check_receipts(of, &log);
    for (auto* x : readers_of[&of])
      judge.compare(*x, log);
  }
  return {};
}

} // namespace confab::bench
