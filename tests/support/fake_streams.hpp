// Streams of conversations in memory, with whatever can go wrong on the way to them.
#pragma once

#include "store/stream_source.hpp"
#include "store/stream_target.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <random>

namespace confab::test {

/// What happens to the next calls.
struct fake_troubles {
  enum class what : std::uint8_t {
    nothing, ///< It is answered.
    refused, ///< It was not carried out.
    lost,    ///< It was carried out, and the answer is lost.
  };
  std::deque<what> next;
  /// No connection.
  bool away = false;

  what take() {
    if (next.empty())
      return what::nothing;
    auto x = next.front();
    next.pop_front();
    return x;
  }
  [[nodiscard]] static model::error why(what x) {
    if (x == what::refused)
      return {model::code::store_failed, "test: refused"};
    return {model::code::append_unknown, "test: the reply is lost"};
  }
  [[nodiscard]] model::status connect() const {
    if (away)
      return model::error{model::code::store_failed, "test: away"};
    return model::nothing{};
  }
};

/// Read by copiers.
class fake_source final : public store::stream_source {
public:
  struct stream {
    std::uint64_t added = 0;
    model::entry_id last_generated;
    std::deque<model::stream_entry> entries;
  };

  std::map<model::conversation_name, stream> streams;
  fake_troubles troubles;
  std::string run = "1";
  std::size_t entries_max = 256;

  /// @returns its id.
  model::entry_id add(const model::conversation_name& to, std::string payload,
                      const std::string& origin = {}) {
    auto& x = streams[to];
    ++x.added;
    x.last_generated = {++clock_, 0};
    model::stream_entry made{to_string(x.last_generated), {{"payload", std::move(payload)}}};
    if (!origin.empty())
      made.fields.push_back({"origin", origin});
    x.entries.push_back(std::move(made));
    return x.last_generated;
  }
  void trim(const model::conversation_name& of, std::size_t count) {
    auto& x = streams[of].entries;
    x.erase(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(std::min(count, x.size())));
  }

  model::status connect() override { return troubles.connect(); }
  std::int64_t retry_in_ms() const override { return troubles.away ? 50 : 0; }
  const std::string& run_id() const override { return run; }

  each<model::result<std::vector<model::stream_entry>>>
  read(std::span<const store::stream_mark> marks, std::size_t most) override {
    if (auto x = troubles.take(); x != fake_troubles::what::nothing)
      return fake_troubles::why(x);
    std::vector<model::result<std::vector<model::stream_entry>>> result;
    for (const auto& x : marks)
      result.emplace_back(from(x, true, most + 1));
    return result;
  }
  each<bool> grew(std::span<const store::stream_mark> marks) override {
    if (auto x = troubles.take(); x != fake_troubles::what::nothing)
      return fake_troubles::why(x);
    std::vector<bool> result;
    for (const auto& x : marks)
      result.push_back(!from(x, false, 1).empty());
    return result;
  }
  each<model::result<store::stream_look>> look(std::span<const store::stream_mark> marks) override {
    if (auto x = troubles.take(); x != fake_troubles::what::nothing)
      return fake_troubles::why(x);
    std::vector<model::result<store::stream_look>> result;
    for (const auto& x : marks)
      result.emplace_back(look_at(x));
    return result;
  }

private:
  static model::entry_id id_of(const model::stream_entry& x) {
    return *model::parse_entry_id(x.id);
  }

  [[nodiscard]] std::vector<model::stream_entry> from(const store::stream_mark& mark,
                                                      bool inclusive, std::size_t most) const {
    std::vector<model::stream_entry> found;
    auto i = streams.find(mark.name);
    if (i == streams.end())
      return found;
    for (const auto& x : i->second.entries)
      if (found.size() < most && (id_of(x) > mark.at.id || (inclusive && id_of(x) == mark.at.id)))
        found.push_back(x);
    return found;
  }
  [[nodiscard]] store::stream_look look_at(const store::stream_mark& mark) const {
    store::stream_look seen;
    auto i = streams.find(mark.name);
    if (i == streams.end())
      return seen;
    const auto& x = i->second;
    seen.exists = true;
    seen.facts.added = x.added;
    seen.facts.last_generated = x.last_generated;
    if (!x.entries.empty())
      seen.facts.first = id_of(x.entries.front());
    for (const auto& y : x.entries) {
      seen.facts.behind += id_of(y) > mark.at.id ? 1 : 0;
      seen.facts.holds_last = seen.facts.holds_last || id_of(y) == mark.at.id;
    }
    seen.entries = from(mark, false, entries_max);
    seen.more = seen.entries.size() < seen.facts.behind;
    return seen;
  }

  std::uint64_t clock_ = 1000;
};

/// Added to by mirrors.
class fake_target final : public store::stream_target {
public:
  struct stream {
    model::epoch epoch;
    model::seq has;
    std::vector<std::string> payloads;
  };

  std::map<model::conversation_name, stream> streams;
  fake_troubles troubles;
  std::size_t calls = 0;

  model::status connect() override { return troubles.connect(); }
  std::int64_t retry_in_ms() const override { return troubles.away ? 50 : 0; }

  model::result<std::vector<model::result<model::seq>>>
  add(std::span<const store::mirrored_page> pages) override {
    ++calls;
    auto trouble = troubles.take();
    if (trouble == fake_troubles::what::refused)
      return fake_troubles::why(trouble);
    std::vector<model::result<model::seq>> result;
    for (const auto& x : pages)
      result.emplace_back(add(x));
    if (trouble == fake_troubles::what::lost)
      return fake_troubles::why(trouble);
    return result;
  }

private:
  model::seq add(const store::mirrored_page& x) {
    auto [i, is_new] = streams.try_emplace(x.name);
    auto& to = i->second;
    auto from = !is_new && to.epoch == x.epoch ? to.has : x.has;
    if (from < x.has && !x.behind_a_hole)
      return from;
    for (const auto* y : x.entries)
      if (y->at > from)
        to.payloads.push_back(y->payload);
    to.epoch = x.epoch;
    to.has = std::max(from, x.through);
    return to.has;
  }
};

} // namespace confab::test
