// Channels of Pub/Sub and the names of conversations in them.
#include "model/channel.hpp"

#include <doctest/doctest.h>

using namespace confab::model;

TEST_CASE("a channel pattern finds the name that its place stands for") {
  auto in = channel_pattern::parse("chat:stream:*", "*");
  REQUIRE(in);
  CHECK(in->name_of("chat:stream:room/1")->text() == "room/1");
  CHECK(in->channel_of(*conversation_name::parse("room/1")) == "chat:stream:room/1");
  for (auto none : {"chat:stream:", "chat:stream", "chat:streaM:x", "chat:stream:a b", "",
                    "chat:stream:a/../b"})
    CHECK_FALSE(in->name_of(none));
  auto out = channel_pattern::parse("c/{name}/live", "{name}");
  REQUIRE(out);
  CHECK(out->channel_of(*conversation_name::parse("x")) == "c/x/live");
  CHECK(out->name_of("c/x/live")->text() == "x");
  CHECK_FALSE(out->name_of("c/live"));
}

TEST_CASE("a channel pattern has one place and no other signs") {
  for (auto text : {"", "chat", "a*b*", "a?*", "[ab]*", "a\\*"})
    CHECK_FALSE(channel_pattern::parse(text, "*"));
  for (auto text : {"", "chat", "{name}{name}", "*{name}", "{user}"})
    CHECK_FALSE(channel_pattern::parse(text, "{name}"));
}
