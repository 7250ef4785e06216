// Pointers in the fan-out stream: which ones point to an entry of a conversation.
#include "model/stream_entry.hpp"

#include <doctest/doctest.h>

using namespace confab::model;

namespace {

stream_entry pointing(std::string key, std::string name, std::string id) {
  return {"1-0", {{"conversation_id", name}, {"stream_key", key}, {"entry_id", id}}};
}

} // namespace

TEST_CASE("a pointer names a conversation and an entry of its stream") {
  auto read = read_pointer(pointing("stream:conversation:a/b", "a/b", "5-1"));
  REQUIRE(read);
  CHECK(read->name.text() == "a/b");
  CHECK(read->id == entry_id{5, 1});
  CHECK(stream_of(read->name) == "stream:conversation:a/b");
  // One of the two names is enough.
  CHECK(read_pointer({"1-0", {{"stream_key", "stream:conversation:c"}, {"entry_id", "5-1"}}}));
  CHECK(read_pointer({"1-0", {{"conversation_id", "c"}, {"entry_id", "5-1"}}}));
}

TEST_CASE("pointers that are none are refused without a word of theirs in the reason") {
  const std::string evil = "evil\n\x1b[31m";
  for (const auto& x : {
           pointing("stream:conversation:a", "b", "5-1"),
           pointing("stream:fanout:all-conversations", "a", "5-1"),
           pointing("a", "a", "5-1"),
           pointing("stream:conversation:", "", "5-1"),
           pointing("stream:conversation:" + evil, evil, "5-1"),
           pointing("stream:conversation:a/../b", "a/../b", "5-1"),
           pointing("stream:conversation:a", "a", evil),
           pointing("stream:conversation:a", "a", "18446744073709551615-0"),
           pointing("stream:conversation:a", "a", ""),
           stream_entry{"1-0", {{"entry_id", "5-1"}}},
           stream_entry{"1-0", {{"stream_key", "stream:conversation:a"}}},
           stream_entry{"1-0", {}},
       }) {
    auto read = read_pointer(x);
    REQUIRE_FALSE(read);
    CHECK(read.why().detail.find("evil") == std::string::npos);
  }
}

TEST_CASE("an entry is marked by its own log only") {
  stream_entry x{"1-0", {{"payload", "1"}, {"origin", "a1"}}};
  CHECK(marked(x, "a1"));
  CHECK_FALSE(marked(x, "a2"));
  CHECK_FALSE(marked({"1-0", {{"payload", "1"}}}, "a1"));
}
