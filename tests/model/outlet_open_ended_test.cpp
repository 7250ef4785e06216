// Frames whose ends are made for each socket.
#include "support/outlet_bed.hpp"

using namespace confab::model;
using namespace confab::model::outlet_bed;

namespace {

/// Frames as those of the bed, of which all but the `>` is shared; `+` more, `.` nothing yet, `!`
/// the end.
class ended_format final : public wire_format {
public:
  constexpr ended_format() : wire_format{2, true} {}

  void add_entry(std::string& out, const conversation_name& name, const epoch&,
                 const entry& x) const override {
    out += '<' + name.text() + ' ' + std::to_string(x.at.value) + ' ' + x.payload + ' ';
  }
  void add_live(std::string& out, const conversation_name& name,
                const position& at) const override {
    out += '<' + name.text() + " live " + std::to_string(at.at.value) + ' ';
  }
  void add_reset(std::string& out, const conversation_name&, reset_reason, const epoch&, seq,
                 seq) const override {
    out += "<reset>";
  }
  void add_closed(std::string& out, const conversation_name& name,
                  const position& at) const override {
    out += '<' + name.text() + " closed " + std::to_string(at.at.value) + ' ';
  }
  void add_end(std::string& out, std::uint64_t token, remaining rest) const override {
    out += std::to_string(token);
    out += rest == remaining::more ? "+>" : rest == remaining::nothing_yet ? ".>" : "!>";
  }
};

const ended_format ended;

follower& follow_ended(bed& to, history& of, std::uint64_t token, std::uint64_t after = 0) {
  auto& x = to.follow(of, after);
  x.format = &ended;
  x.token = token;
  return x;
}

void close(history& x) {
  x.state.life = lifecycle::closed;
  x.from->announced(x.state, {});
}

} // namespace

TEST_CASE("the end of an entry says whether the reader has reached the tail") {
  history a{"a"};
  a.append({1, 0}, false);
  a.append({2}, true);
  bed x;
  follow_ended(x, a, 7);
  x.drain();
  CHECK(x.got == "<a 1 x 7+><a 2  7+><a 3 xx 7.>");
  CHECK(x.followers[0]->sub.live());
  a.append({0}, true);
  x.out.make_ready(*x.followers[0]);
  x.drain();
  CHECK(x.got.ends_with("7.><a 4  7.>"));
}

TEST_CASE("a reader that begins at the tail hears so at once") {
  history a{"a"};
  a.append({1}, false);
  bed x;
  follow_ended(x, a, 1, 1);
  x.drain();
  CHECK(x.got == "<a live 1 1.>");
}

TEST_CASE("the end of a closed log is told once, by its last entry or alone") {
  history a{"a"};
  a.append({1}, false);
  close(a);
  bed from_start, at_tail;
  follow_ended(from_start, a, 1);
  follow_ended(at_tail, a, 1, 1);
  from_start.drain();
  at_tail.drain();
  CHECK(from_start.got == "<a 1 x 1!>");
  CHECK(at_tail.got == "<a closed 1 1!>");
  CHECK(from_start.followers[0]->sub.told_closed());
  CHECK(at_tail.followers[0]->sub.told_closed());
}

TEST_CASE("a log that is closed behind a live reader is told alone") {
  history a{"a"};
  a.append({1}, false);
  bed x;
  follow_ended(x, a, 1);
  x.drain();
  close(a);
  x.out.make_ready(*x.followers[0]);
  x.drain();
  CHECK(x.got == "<a 1 x 1.><a closed 1 1!>");
}

TEST_CASE("nothing leaves at a reset of an open-ended format") {
  history a{"a"};
  a.append({1, 1}, false);
  bed x;
  follow_ended(x, a, 1);
  a.state.epoch = {"f"};
  a.from->announced(a.state, {});
  x.drain();
  CHECK(x.got.empty());
  CHECK(x.followers[0]->sub.next(*a.from).what == step::kind::reset);
}

TEST_CASE("sockets share an open-ended entry and have their own ends") {
  history a{"a"};
  a.append({3}, true);
  bed x, y;
  follow_ended(x, a, 1);
  follow_ended(y, a, 2);
  x.drain();
  y.drain();
  CHECK(x.got == "<a 1 xxx 1.>");
  CHECK(y.got == "<a 1 xxx 2.>");
}

TEST_CASE("wherever a send stops, an open-ended frame goes on with its rest and its own end") {
  auto make = [](bed& x, std::vector<std::unique_ptr<history>>& logs) {
    x.early = true;
    x.page_entries = 3;
    for (const auto* name : {"a", "b"}) {
      auto& log = *logs.emplace_back(std::make_unique<history>(name));
      log.append({1, 5, 3}, false);
      log.append({0, 2}, true);
      follow_ended(x, log, 7);
    }
    close(*logs.back());
  };
  std::vector<std::unique_ptr<history>> logs;
  bed whole;
  make(whole, logs);
  whole.drain();
  const auto expected = frames_of(whole.got);
  REQUIRE(expected.size() == 10);
  for (std::size_t cut = 0; cut <= whole.got.size(); ++cut) {
    CAPTURE(cut);
    std::vector<std::unique_ptr<history>> own;
    bed x;
    make(x, own);
    x.send(cut);
    std::size_t rest = 0;
    std::string wanted, later;
    for (const auto& f : expected) {
      (f.begin < cut ? wanted : later) += f.text;
      if (f.begin < cut && cut < f.begin + f.text.size())
        rest = f.begin + f.text.size() - cut;
    }
    CHECK(x.out.backlog() == rest);
    x.out.post("[post 1]");
    x.control("{control 1}");
    x.drain();
    CHECK(x.got == wanted + "[post 1]{control 1}" + later);
  }
}
