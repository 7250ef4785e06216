// What one client was told over one connection, checked frame by frame against the promises of
// DESIGN §1.
//
//   nothing of a conversation before its `subscribed`; then seq rises by exactly 1, apart from a
//   `reset` each entry is what the log holds at its seq, and is in the log already every command
//   gets exactly one answer; a receipt names a place that holds the draft when all is quiet: at the
//   tail, `live` (and `closed`) told
#pragma once

#include "net/client.hpp"
#include "simulation/log_truth.hpp"

#include <nlohmann/json.hpp>

#include <map>
#include <optional>
#include <string>

namespace confab::test {

/// What became of each payload that anybody published, over all connections.
struct publish_ledger {
  /// Payloads of which no attempt was, or may have been, appended.
  std::map<std::string, bool> only_refused;

  void asked(const std::string& payload) { only_refused.try_emplace(payload, true); }
  void possible(const std::string& payload) { only_refused[payload] = false; }
};

/// A client's cursor as its acks allow it.
struct cursor_bounds {
  std::string epoch;
  std::uint64_t confirmed = 0, sent = 0;
};

/// A subscription as its reader sees it.
struct view {
  bool active = false;
  /// When it was subscribed to last.
  std::uint64_t asked = 0;
  /// Empty as long as the log does not exist, or the epoch was not told.
  std::string epoch;
  model::seq at;
  /// Of the entry at `at`, if it was received.
  model::entry_id id;
  bool live = false;
  bool told_closed = false;
  /// The next frame must be a reset.
  bool reset_due = false;
  /// With an empty epoch: what the log may be, going by its entries.
  std::vector<const incarnation*> candidates;
};

class witness {
public:
  witness(log_truth& truth, publish_ledger& ledger, std::string who)
    : truth_{truth}, ledger_{ledger}, who_{std::move(who)} {}

  /// Called when a publish of a producer is answered; `taken`: it need not be sent again.
  std::function<void(const std::string& name, const model::batch& what, bool taken)> answers;

  // What the client asks.
  void subscribes(const std::string& ref, const std::string& name,
                  const model::resume_request& from, const cursor_bounds& cursor);
  void unsubscribes(const std::string& ref, const std::string& name);
  void publishes(const std::string& ref, const std::string& name, const model::batch& what);
  void acks(const std::string& ref, const std::string& name, std::uint64_t seq,
            cursor_bounds& cursor);

  /// One text frame from the server.
  void told(std::string_view text);

  /// The connection has ended: what is unanswered may have happened.
  void ended();
  /// All is quiet: nothing may be missing.
  void quiet();

  /// The first thing that was wrong; empty: nothing.
  [[nodiscard]] const std::string& fault() const noexcept { return fault_; }
  [[nodiscard]] const std::map<std::string, view>& views() const noexcept { return views_; }
  [[nodiscard]] std::size_t entries() const noexcept { return entries_; }

private:
  struct question {
    enum class kind { subscribe, unsubscribe, publish, ack } what;
    std::string name;
    std::uint64_t moment = 0;
    model::resume_request from = {};
    /// The log when it was asked.
    const incarnation* log = nullptr;
    model::seq tail = {};
    model::batch drafts = {};
    /// With a publish: where its number stood already.
    std::optional<model::seq> there = {};
    /// And the highest number of its producer.
    std::uint64_t number_there = 0;
    /// As it was when this was asked, and as it is.
    cursor_bounds cursor = {};
    const cursor_bounds* cursor_now = nullptr;
    cursor_bounds* acked = nullptr;
    std::uint64_t seq = 0;
  };
  using json = nlohmann::json;

  void wrong(const std::string& name, const std::string& what);
  question* answered(const json& frame, question::kind what, const std::string& name);
  question ask(question::kind what, const std::string& name);

  void entry(const json& x, const std::string& name);
  void reset(const json& x, const std::string& name);
  void live(const json& x, const std::string& name);
  void closed(const json& x, const std::string& name);
  void subscribed(const json& x, const std::string& name);
  void started(const json& x, const std::string& name, const question& by, view& v);
  void resumed(const question& by, const incarnation* log, const std::string& name, view& v);
  void unsubscribed(const json& x, const std::string& name);
  void published(const json& x, const std::string& name);
  void refused(const json& x, const std::string& name);
  [[nodiscard]] bool gone(const std::string& name, const view& v) const;
  view* expecting(const std::string& name, std::string_view op);

  log_truth& truth_;
  publish_ledger& ledger_;
  const std::string who_;
  std::string fault_;
  std::map<std::string, view> views_;
  std::map<std::string, question> questions_;
  std::optional<question> last_;
  std::size_t entries_ = 0;
};

} // namespace confab::test
