// Channels of a real Redis: what is heard, and what of a log is published once.
#include "store/redis_channels.hpp"

#include "store/redis_bed.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace confab;
using namespace confab::test;

namespace {

const auto c = *model::conversation_name::parse("c");

store::redis_options options_of(const redis_server& redis) {
  auto how = redis.options();
  how.reconnect = {1, 10};
  return how;
}

/// Who listens to some channels, and what it has heard.
struct old_consumer {
  old_consumer(const redis_server& redis, std::vector<std::string> patterns)
    : listener{options_of(redis), std::move(patterns)} {
    REQUIRE(listener.connect());
    REQUIRE(listener.listen());
  }

  /// All that was published, `pattern channel payload` each.
  std::vector<std::string> heard() {
    std::vector<std::string> all;
    for (;;) {
      auto got = listener.hear(100);
      REQUIRE_MESSAGE(got, got.why().detail);
      if (!*got)
        return all;
      const auto& x = **got;
      all.push_back(x.pattern + ' ' + x.what.channel + ' ' + x.what.payload);
    }
  }

  store::channel_listener listener;
};

} // namespace

TEST_CASE("redis: a listener hears what matches its patterns, in the order of publishing") {
  redis_server redis;
  old_consumer listener{redis, {"a:*", "list"}};
  for (const auto* channel : {"list", "a:1", "b:1", "a:x", "list"})
    redis.ask({"PUBLISH", channel, "p"});
  CHECK(listener.heard() == payloads{"list list p", "a:* a:1 p", "a:* a:x p", "list list p"});
}

TEST_CASE("redis: a listener hears what matches two of its patterns for each of them") {
  redis_server redis;
  old_consumer listener{redis, {"*", "list"}};
  redis.ask({"PUBLISH", "list", "p"});
  auto heard = listener.heard();
  std::sort(heard.begin(), heard.end());
  CHECK(heard == payloads{"* list p", "list list p"});
}

TEST_CASE("redis: what was published of a log through an entry is not published again") {
  redis_bed its;
  its.add("c", "1");
  auto id = *model::parse_entry_id(its.add("c", "2"));
  auto epoch = its.epoch("c");
  store::log_speaker one{options_of(its.redis)}, another{options_of(its.redis)};
  old_consumer listener{its.redis, {"out:*"}};
  CHECK(*one.spoken(c) == model::entry_id{});

  store::log_speaker::stretch both{epoch, {}, id, "out:c", {"first", "second"}};
  CHECK(*one.say(c, both));
  CHECK(listener.heard() == payloads{"out:* out:c first", "out:* out:c second"});
  CHECK(*another.spoken(c) == id);
  CHECK_FALSE(*another.say(c, both));
  CHECK_FALSE(*one.say(c, both));

  auto next = id;
  ++next.n;
  CHECK(*another.say(c, {epoch, id, next, "out:c", {"third"}}));
  // One that moves the place alone.
  auto last = next;
  ++last.n;
  CHECK(*another.say(c, {epoch, next, last, "out:c", {}}));
  CHECK(*one.spoken(c) == last);
  CHECK(listener.heard() == payloads{"out:* out:c third"});
}

TEST_CASE("redis: nothing of a log that was replaced or removed is published") {
  redis_bed its;
  auto id = *model::parse_entry_id(its.add("c", "1"));
  auto epoch = its.epoch("c");
  store::log_speaker speaker{options_of(its.redis)};
  old_consumer listener{its.redis, {"out:*"}};
  model::epoch other{"other.1"};
  CHECK_FALSE(*speaker.say(c, {other, {}, id, "out:c", {"x"}}));
  REQUIRE(its.bed->writer->remove(c));
  CHECK_FALSE(*speaker.say(c, {epoch, {}, id, "out:c", {"x"}}));
  // It leaves nothing that a log would be seen in.
  CHECK(its.redis.ask({"EXISTS", "confab:log:c"}).number == 0);
  CHECK(listener.heard().empty());
}

TEST_CASE("redis: what cannot be published is not taken for published") {
  redis_bed its;
  auto id = *model::parse_entry_id(its.add("c", "1"));
  auto epoch = its.epoch("c");
  store::log_speaker speaker{options_of(its.redis)};
  old_consumer listener{its.redis, {"*:*"}};
  store::log_speaker::stretch some{epoch, {}, id, "out:c", {"1"}};
  its.redis.ask({"ACL", "SETUSER", "default", "resetchannels", "&in:*"});
  auto refused = speaker.say(c, some);
  REQUIRE_FALSE(refused);
  CHECK(refused.why().what == model::code::store_failed);
  CHECK(*speaker.spoken(c) == model::entry_id{});
  its.redis.ask({"ACL", "SETUSER", "default", "allchannels"});
  CHECK(*speaker.say(c, some));
  its.redis.ask({"HSET", "confab:log:c", "spoken", "nonsense"});
  CHECK(speaker.spoken(c).why().what == model::code::log_damaged);
}
