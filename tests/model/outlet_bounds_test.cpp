// How much one gathering takes, who shares it, and random schedules.
#include "support/outlet_bed.hpp"

using namespace confab::model;
using namespace confab::model::outlet_bed;

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
