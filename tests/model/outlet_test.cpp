// What one socket sends, in frames that a reader can tell apart: `<a 7 xxx>` an entry of a, `<a
// live 7>`,
// `[post 1]` for this socket alone, `{control 1}`.
#include "model/outlet.hpp"

#include <doctest/doctest.h>

#include <map>
#include <random>

using namespace confab::model;

namespace {

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
std::vector<frame> frames_of(const std::string& bytes) {
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

} // namespace

TEST_CASE(
    "wherever a send stops, the frame in progress ends before posted, control and entry frames") {
  two_conversations whole;
  whole.to.drain();
  const auto expected = frames_of(whole.to.got);
  REQUIRE(expected.size() == 12);
  for (std::size_t cut = 0; cut <= whole.to.got.size(); ++cut) {
    CAPTURE(cut);
    two_conversations x;
    x.to.send(cut);
    x.to.out.post("[post 1]");
    x.to.control("{control 1}");
    x.to.drain();
    std::vector<std::string> begun, later;
    for (const auto& f : expected)
      (f.begin < cut ? begun : later).push_back(f.text);
    std::string wanted;
    for (const auto& f : begun)
      wanted += f;
    wanted += "[post 1]{control 1}";
    for (const auto& f : later)
      wanted += f;
    CHECK(x.to.got == wanted);
    CHECK(x.to.out.control_sent());
  }
}

TEST_CASE("a blocked outlet keeps the rest of one frame and no more") {
  two_conversations whole;
  whole.to.drain();
  const auto expected = frames_of(whole.to.got);
  for (std::size_t cut = 0; cut <= whole.to.got.size(); ++cut) {
    CAPTURE(cut);
    two_conversations x;
    x.to.send(cut);
    std::size_t rest = 0;
    for (const auto& f : expected)
      if (f.begin < cut && cut < f.begin + f.text.size())
        rest = f.begin + f.text.size() - cut;
    CHECK(x.to.out.backlog() == rest);
  }
}

TEST_CASE("a blocked outlet keeps no page") {
  two_conversations x;
  x.to.send(4);
  outlet other;
  other.gather(x.to.held, x.to); // the next socket's turn
  CHECK(x.to.given.expired());
}

TEST_CASE("sent byte by byte, the frames are the same") {
  two_conversations whole, slow;
  whole.to.drain();
  while (slow.to.send(1))
    ;
  CHECK(slow.to.got == whole.to.got);
}

TEST_CASE("a control frame that has begun is not interrupted by frames that are posted meanwhile") {
  const std::string control = "{control 1}";
  for (std::size_t cut = 1; cut < control.size(); ++cut) {
    CAPTURE(cut);
    two_conversations x;
    x.to.control(control);
    x.to.send(cut);
    CHECK_FALSE(x.to.out.control_sent());
    x.to.out.post("[post 1]");
    x.to.send(1);
    x.to.drain();
    CHECK(x.to.got.starts_with("{control 1}[post 1]<a 1 x>"));
  }
}

TEST_CASE("nothing leaves behind a close frame") {
  two_conversations whole;
  whole.to.drain();
  const auto expected = frames_of(whole.to.got);
  for (std::size_t cut = 0; cut <= whole.to.got.size(); ++cut) {
    CAPTURE(cut);
    two_conversations x;
    x.to.send(cut);
    x.to.out.post("[post 1]");
    x.to.control("{close}", true);
    x.to.out.post("[post 2]");
    x.to.send(3);
    x.to.out.post("[post 3]");
    x.to.drain();
    std::string wanted;
    for (const auto& f : expected)
      if (f.begin < cut)
        wanted += f.text;
    CHECK(x.to.got == wanted + "[post 1]{close}");
    x.to.out.post("[post 4]");
    CHECK(x.to.out.backlog() == 0);
  }
}

TEST_CASE("entries that are stopped stay, and what is posted still leaves") {
  two_conversations x;
  x.to.send(2);
  x.to.out.stop_entries();
  x.to.out.post("[post 1]");
  x.to.drain();
  CHECK(x.to.got == "<a 1 x>[post 1]");
}

TEST_CASE("a follower that was forgotten sends nothing more") {
  two_conversations x;
  x.to.out.forget(*x.to.followers[0]);
  x.to.drain();
  CHECK(x.to.got.starts_with("<b 1 x>"));
  CHECK(x.to.got.find("<a") == std::string::npos);
}

TEST_CASE("a page that has not come keeps neither the other conversations nor live ones waiting") {
  two_conversations x;
  x.to.late = true;
  history c{"c"};
  c.append({1}, true);
  x.to.follow(c);
  x.to.drain();
  CHECK(x.to.got == "<c 1 x><c live 1>");
  x.to.arrive();
  x.to.drain();
  CHECK(frames_of(x.to.got).size() == 14);
}

TEST_CASE("whoever needed the log is told live again, wherever the send of the page stopped") {
  for (std::size_t cut = 0; cut <= 26; ++cut) {
    CAPTURE(cut);
    history c{"c"};
    bed to;
    c.append({1}, true);
    auto& reader = to.follow(c);
    to.drain();
    c.append({1, 1}, false);
    to.out.make_ready(reader);
    to.send(cut);
    to.out.make_ready(reader);
    to.drain();
    CHECK(to.got == "<c 1 x><c live 1><c 2 x><c 3 x><c live 3>");
  }
}

TEST_CASE("conversations of one outlet that catch up share it fairly") {
  std::vector<std::unique_ptr<history>> logs;
  bed to;
  to.page_entries = 1000;
  for (const auto* name : {"a", "b", "c"}) {
    logs.push_back(std::make_unique<history>(name));
    logs.back()->append(std::vector<std::size_t>(400, 1000), false);
    to.follow(*logs.back());
  }
  auto least = [&] {
    auto result = seq_max;
    for (const auto& x : to.followers)
      result = std::min(result, x->sub.at());
    return result.value;
  };
  auto most = [&] {
    seq result;
    for (const auto& x : to.followers)
      result = std::max(result, x->sub.at());
    return result.value;
  };
  SUBCASE("with whole sends") {
    for (int i = 0; i < 12; ++i) {
      to.send();
      CHECK(most() - least() <= gathering::bytes_max / 1000 + 1);
    }
    CHECK(least() > 200);
  }
  SUBCASE("with partial sends") {
    for (int i = 0; i < 300; ++i) {
      to.send(2500);
      CHECK(most() - least() <= 6);
    }
    CHECK(least() > 200);
  }
}

TEST_CASE("a long run is cut between two frames, where a gathering reaches its bound") {
  history a{"a"};
  a.append(std::vector<std::size_t>(400, 1000), false);
  bed to;
  to.page_entries = 1000;
  to.follow(a);
  for (int i = 0; i < 5; ++i) {
    to.out.post("[post]");
    to.out.gather(to.held, to);
    // The last frame began before the bound.
    CHECK(to.held.bytes() < gathering::bytes_max + 1010);
    CHECK(to.held.bytes() >= gathering::bytes_max);
    to.send();
    frames_of(to.got);
    CHECK(to.out.backlog() == 0);
  }
}

TEST_CASE("a frame beyond the bound of a gathering goes alone, also behind a posted one") {
  history a{"a"};
  a.append({100'000, 100'000, 1}, false);
  bed to;
  to.follow(a);
  to.out.post("[post]");
  to.send();
  auto got = frames_of(to.got);
  REQUIRE(got.size() == 2);
  CHECK(got[1].text.starts_with("<a 1 "));
  to.send();
  CHECK(frames_of(to.got).size() == 3);
  to.drain();
  CHECK(frames_of(to.got).size() == 5);
}

TEST_CASE("more marks than a gathering has pieces leave in the next one") {
  std::vector<std::unique_ptr<history>> logs;
  bed to;
  for (int i = 0; i < 150; ++i) {
    logs.push_back(std::make_unique<history>("c" + std::to_string(i)));
    logs.back()->append({1}, true);
    to.follow(*logs.back());
  }
  std::size_t gatherings = 0;
  for (; to.send(); ++gatherings)
    CHECK(to.held.pieces().size() <= gathering::pieces_max);
  CHECK(gatherings == 5);
  CHECK(frames_of(to.got).size() == 300);
}

TEST_CASE("random sends, posts, controls and appends leave whole frames in order") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    auto pick = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    history a{"a", {.entries_max = 6}}, b{"b", {.entries_max = 2}};
    bed to;
    to.early = pick(2) == 0;
    to.follow(a);
    to.follow(b);
    struct promise {
      std::string text;
      std::size_t delivered;
    };
    std::vector<promise> posts;
    std::size_t controls = 0;
    for (int i = 0; i < 120; ++i) {
      switch (pick(6)) {
      case 0: {
        auto& to_log = pick(2) == 0 ? a : b;
        std::vector<std::size_t> sizes(1 + pick(3));
        for (auto& x : sizes)
          x = pick(12);
        to_log.append(sizes, pick(4) != 0);
        for (auto& x : to.followers)
          if (x->awaited == seq{})
            to.out.make_ready(*x);
        break;
      }
      case 1:
        posts.push_back({"[post " + std::to_string(posts.size() + 1) + ']', to.got.size()});
        to.out.post(posts.back().text);
        break;
      case 2:
        if (to.out.control_sent())
          to.control("{control " + std::to_string(++controls) + '}');
        break;
      case 3:
        if (pick(3) == 0)
          to.late = true;
        else
          to.arrive();
        break;
      default:
        to.send(pick(40));
      }
    }
    to.arrive();
    to.drain();
    std::map<std::string, std::size_t> handled;
    std::size_t posted = 0, controlled = 0;
    for (const auto& f : frames_of(to.got)) {
      if (f.text[0] == '[') {
        REQUIRE(posted < posts.size());
        CHECK(f.text == posts[posted++].text);
      } else if (f.text[0] == '{') {
        CHECK(f.text == "{control " + std::to_string(++controlled) + '}');
      } else {
        // An entry or mark that begins after a frame was posted stands behind it.
        CHECK((posted == posts.size() || f.begin <= posts[posted].delivered));
        auto name = f.text.substr(1, 1);
        auto& at = handled[name];
        if (f.text.find("live") != std::string::npos) {
          CHECK(f.text == '<' + name + " live " + std::to_string(at) + '>');
        } else {
          const auto& from = name == "a" ? a : b;
          REQUIRE(at < from.held.size());
          std::string wanted;
          format.add_entry(wanted, *from.name, epoch{}, from.held[at++]);
          CHECK(f.text == wanted);
        }
      }
    }
    CHECK(posted == posts.size());
    CHECK(controlled == controls);
    CHECK(handled["a"] == a.held.size());
    CHECK(handled["b"] == b.held.size());
    for (auto& x : to.followers)
      CHECK(x->sub.live());
  }
}
