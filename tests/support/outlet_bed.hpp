// A bed for outlets, in frames that a reader can tell apart: `<a 7 xxx>` an entry of a, `<a live
// 7>`, `[post 1]` for this socket alone, `{control 1}`.
#pragma once

#include "model/outlet.hpp"

#include <doctest/doctest.h>

#include <map>
#include <random>

namespace confab::model::outlet_bed {

class plain_format final : public wire_format {
public:
  constexpr plain_format() : wire_format{3} {}

  void add_entry(std::string& out, const conversation_name& name, const epoch&,
                 const entry& x) const override {
    out += '<' + name.text() + ' ' + std::to_string(x.at.value) + ' ' + x.payload + '>';
  }
  void add_live(std::string& out, const conversation_name& name,
                const position& at) const override {
    out += '<' + name.text() + " live " + std::to_string(at.at.value) + '>';
  }
  void add_reset(std::string& out, const conversation_name& name, reset_reason reason, const epoch&,
                 seq from, seq through) const override {
    out += '<' + name.text() + " reset " + std::string{to_string(reason)} + ' ' +
           std::to_string(from.value) + '-' + std::to_string(through.value) + '>';
  }
  void add_closed(std::string& out, const conversation_name& name,
                  const position& at) const override {
    out += '<' + name.text() + " closed " + std::to_string(at.at.value) + '>';
  }
};

const plain_format format;
constexpr std::size_t everything = ~std::size_t{0};

struct frame {
  std::size_t begin = 0;
  std::string text;
};

/// Complete frames; a frame inside another one fails the test.
inline std::vector<frame> frames_of(const std::string& bytes) {
  std::vector<frame> result;
  for (std::size_t i = 0; i < bytes.size();) {
    auto closing = bytes[i] == '<' ? '>' : bytes[i] == '[' ? ']' : bytes[i] == '{' ? '}' : '?';
    auto end = bytes.find_first_of("<[{>]}", i + 1);
    REQUIRE(end != std::string::npos);
    REQUIRE(bytes[end] == closing);
    result.push_back({i, bytes.substr(i, end + 1 - i)});
    i = end + 1;
  }
  return result;
}

/// One conversation: its whole log, and the feed of it.
struct history {
  explicit history(const std::string& text, ring_limits ring = {})
    : name{std::make_shared<const conversation_name>(*conversation_name::parse(text))},
      from{std::make_shared<feed>(name, ring)} {
    from->announced(state, {});
  }

  run_ptr run_of(std::uint64_t first, std::uint64_t last) const {
    return std::make_shared<const run>(
        name, epoch{"e"},
        std::vector<entry>(held.begin() + static_cast<std::ptrdiff_t>(first - 1),
                           held.begin() + static_cast<std::ptrdiff_t>(last)),
        nullptr);
  }
  /// Appends entries of these payload sizes; @returns the announced run.
  void append(const std::vector<std::size_t>& sizes, bool with_entries) {
    auto first = held.size() + 1;
    for (auto size : sizes) {
      entry x;
      x.at = {held.size() + 1};
      x.payload.assign(size, 'x');
      held.push_back(std::move(x));
    }
    state.tail = {held.size()};
    std::vector<run_ptr> newest;
    if (with_entries)
      newest.push_back(run_of(first, held.size()));
    from->announced(state, newest);
  }

  std::shared_ptr<const conversation_name> name;
  log_state state{.epoch = {"e"}};
  std::shared_ptr<feed> from;
  std::vector<entry> held;
};

struct bed final : page_source {
  follower& follow(history& of, std::uint64_t after = 0) {
    followers.push_back(std::make_unique<follower>(
        of.from, subscription{epoch{"e"}, seq{after}, std::nullopt}, format, out));
    log_by_follower[followers.back().get()] = &of;
    out.make_ready(*followers.back());
    return *followers.back();
  }
  run_ptr page_for(follower& who, seq at) override {
    if (late) {
      who.awaited = at;
      return nullptr;
    }
    auto& of = *log_by_follower[&who];
    auto last = std::min<std::uint64_t>(of.held.size(), at.value + page_entries - 1);
    auto result = of.run_of(at.value > 1 && early ? at.value - 1 : at.value, last);
    given = result;
    return result;
  }
  /// The pages that were awaited are there now.
  void arrive() {
    late = false;
    for (auto& x : followers) {
      x->awaited = {};
      out.make_ready(*x);
    }
  }
  /// Gathers once, and at most `n` bytes leave. @returns whether anything was gathered.
  bool send(std::size_t n = everything) {
    out.gather(held, *this);
    n = std::min(n, held.bytes());
    auto left = n;
    for (const auto& x : held.pieces()) {
      auto part = std::min(left, x.size);
      got.append(x.data, part);
      left -= part;
    }
    CHECK(out.sent(held, n) == (n == held.bytes()));
    return held.bytes() > 0;
  }
  void drain() {
    while (send())
      ;
  }
  void control(const std::string& text, bool closes = false) {
    kept_control = text;
    out.control(kept_control, closes);
  }

  outlet out;
  gathering held;
  std::string got;
  std::string kept_control;
  std::vector<std::unique_ptr<follower>> followers;
  std::map<const follower*, history*> log_by_follower;
  std::weak_ptr<const run> given;
  std::uint64_t page_entries = 4;
  /// Pages begin one entry before the asked one.
  bool early = false;
  bool late = false;
};

/// Three entries from a page and two from the ring, which are not live yet, of each of two
/// conversations.
struct two_conversations {
  history a{"a"}, b{"b"};
  bed to;
  two_conversations() {
    to.early = true;
    to.page_entries = 3;
    for (auto* x : {&a, &b}) {
      x->append({1, 5, 3}, false);
      x->append({0, 2}, true);
      to.follow(*x);
    }
  }
};

} // namespace confab::model::outlet_bed
