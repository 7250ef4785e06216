// Pages of the log, read and encoded once for all who stand at the same place (DESIGN §6).
//
// Invariants:
// (1) Equal requests share one read, over all hubs, unless a later one knows a later tail.
// (2) Only full pages that begin on a block, or right behind a cached one, are kept: there is at
// most about one cached
//     copy of an entry, and a kept page can never change.
// (3) What is kept counts against the budget of rings, pages and frames, of which pages take at
// most a sixteenth: readers
//     that are behind together need the last few pages, and one that is far behind alone needs none
//     twice. The least recently sent goes first.
#pragma once

#include "model/subscription.hpp"
#include "net/client.hpp"

#include <list>
#include <map>
#include <mutex>
#include <unordered_map>

namespace confab::net {

/// Entries per aligned block: a page ends at a multiple of it.
inline constexpr std::uint64_t block_entries = 256;

/// The answer to a page request, for every hub that waits.
struct page_arrival {
  std::shared_ptr<hub_feed> feed;
  model::seq from;
  /// `good` or `trimmed`: usable. With `damaged` and a failed read, `failure` is set.
  model::page_verdict verdict = model::page_verdict::good;
  model::log_state state = {};
  model::run_ptr held = nullptr;
  std::optional<model::error> failure = std::nullopt;
};

class pages {
public:
  pages(backend& from, model::byte_budget& budget) : backend_{from}, budget_{budget} {}

  /// A cached run that holds `at`, or null. Any thread.
  [[nodiscard]] model::run_ptr find(const model::conversation_name& name, const model::epoch& of,
                                    model::seq at);

  /// Reads the page from `from` on; `feed`'s hub gets a `page_arrival`. Any thread.
  void want(const std::shared_ptr<hub_feed>& feed, model::seq from, const model::log_state& known);

  /// The backend's answer. Any thread.
  void arrived(const page_request& asked, model::result<model::page> got);

  /// Forgets least recently sent pages until the budget is kept or nothing is left. Any thread.
  void shed();

  [[nodiscard]] model::byte_budget& budget() noexcept { return budget_; }

private:
  struct log_key {
    std::string name;
    std::string epoch;
    friend auto operator<=>(const log_key&, const log_key&) = default;
  };
  struct kept {
    model::run_ptr held;
    std::list<std::pair<log_key, model::seq>>::iterator used;
  };
  using log_pages = std::map<model::seq, kept>;
  struct read_key {
    log_key log;
    model::seq from;
    friend auto operator<=>(const read_key&, const read_key&) = default;
  };
  struct read {
    model::seq tail;
    std::vector<std::shared_ptr<hub_feed>> waiting;
  };

  void keep(const log_key& key, const model::run_ptr& held);
  void shed_locked();
  [[nodiscard]] static std::size_t footprint(const model::run& x) noexcept;

  backend& backend_;
  model::byte_budget& budget_;
  std::mutex mutex_;
  std::map<log_key, log_pages> by_log_;
  /// Least recently sent first.
  std::list<std::pair<log_key, model::seq>> order_;
  std::size_t kept_bytes_ = 0;
  std::multimap<read_key, read> reads_;
};

} // namespace confab::net
