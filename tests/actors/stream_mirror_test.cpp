// Mirrors of logs, while answers are lost, mirrors end, and Redis goes away or back.
#include "actors/stream_mirror.hpp"
#include "support/actor_bed.hpp"
#include "support/fake_streams.hpp"
#include "support/silenced_log.hpp"

#include <doctest/doctest.h>

using namespace confab;
using namespace confab::test;

namespace {

struct mirror_bed : actor_bed {
  silenced_log quiet;
  mirror_bed() { start(); }
  ~mirror_bed() {
    end();
    run();
  }

  std::shared_ptr<fake_target> target = std::make_shared<fake_target>();
  actors::stream_mirror_actor mirror;

  /// The mirror is another process's: conversations are begun anew, too.
  void start() {
    mirror = system.system.spawn(actors::stream_mirror,
                                 actors::mirror_options{.streams = target, .since_ms = 1}, writer,
                                 pool(), &env);
    caf::anon_send_exit(directory, caf::exit_reason::user_shutdown);
    system.run();
    actors::stream_actors joined;
    joined.mirror = mirror;
    directory = system.system.spawn(actors::directory, writer, joined, &env);
    system.run();
  }
  void end() const { caf::anon_send_exit(mirror, caf::exit_reason::user_shutdown); }

  void put() {
    ++published;
    publish(conversation_of(room()), published, "p", published);
  }
  std::uint64_t published = 0;

  std::string mirrored() {
    std::string result;
    for (const auto& x : target->streams[room()].payloads)
      result += (result.empty() ? "" : " ") + x;
    return result;
  }
};

} // namespace

TEST_CASE_FIXTURE(mirror_bed, "what is published is mirrored once, though the answer was lost") {
  target->troubles.next = {fake_troubles::what::lost, fake_troubles::what::refused};
  put();
  put();
  run();
  advance(1'000);
  put();
  advance(1'000);
  CHECK(mirrored() == logged(room()));
  CHECK(mirrored() == "1 2 3");
  CHECK(env.counted.mirrored_entries.value() == 3);
  CHECK(env.counted.mirrors_behind.value() == 0);
}

TEST_CASE_FIXTURE(mirror_bed, "in an outage names wait, and it shows how many") {
  target->troubles.away = true;
  put();
  run();
  publish(conversation_of(*model::conversation_name::parse("other")), 9, "p", 1);
  advance(1'000);
  CHECK(env.counted.mirrors_behind.value() == 2);
  CHECK_FALSE(env.redis_health.trouble().empty());
  target->troubles.away = false;
  for (int i = 0; i < 20; ++i)
    advance(100);
  CHECK(env.counted.mirrors_behind.value() == 0);
  CHECK(mirrored() == "1");
}

TEST_CASE("whatever is lost on the way, each entry is mirrored once, in order") {
  using what = fake_troubles::what;
  for (unsigned seed = 0; seed < 60; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    mirror_bed bed;
    auto older = bed.target->streams;
    for (int step = 0; step < 100; ++step) {
      switch (random() % 12) {
      case 0:
        bed.target->troubles.next.push_back(random() % 2 == 0 ? what::refused : what::lost);
        break;
      case 1:
        bed.target->troubles.away = !bed.target->troubles.away;
        break;
      case 2:
        older = bed.target->streams;
        break;
      case 3: // an older replica was promoted
        if (older.contains(bed.room()))
          bed.target->streams = older;
        break;
      case 4:
        bed.end();
        bed.start();
        break;
      case 5:
        bed.advance(static_cast<std::int64_t>(random() % 2'000));
        break;
      default:
        bed.put();
      }
      for (auto n = random() % 8; n > 0; --n)
        bed.system.step([&](std::size_t of_them) { return random() % of_them; });
    }
    bed.target->troubles = {};
    for (int i = 0; i < 10; ++i)
      bed.advance(2'000);
    bed.put();
    for (int i = 0; i < 10; ++i)
      bed.advance(2'000);
    CHECK(bed.mirrored() == bed.logged(bed.room()));
    CHECK(bed.env.counted.mirrors_behind.value() == 0);
  }
}
