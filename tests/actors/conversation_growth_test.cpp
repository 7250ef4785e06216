// A conversation whose log others add to, and what a connection does about drafts that overtake.
#include "support/actor_bed.hpp"

#include <doctest/doctest.h>

using namespace confab;
using namespace confab::test;

namespace {

struct shared_log : actor_bed {
  shared_log() : actor_bed{{.gather_us = 0, .reconcile_ms = 1000}} {}

  /// Appends behind the conversation's back.
  void others_add(const std::string& payload) {
    auto other = store->writer();
    auto head = other->open(room());
    REQUIRE(head);
    auto what = std::make_shared<store::append>();
    what->entries.push_back({.at = head->state.tail.next(),
                             .id = model::next_id(head->state.tail_id, env.wall_ms()),
                             .time_ms = 0,
                             .sender = "b",
                             .kind = "message",
                             .payload = payload,
                             .producer = {},
                             .producer_seq = 0,
                             .message = {},
                             .source_id = {}});
    store::chain chain{room(), head->state.epoch, "application/json", {what}};
    const auto* pointer = &chain;
    REQUIRE_FALSE(other->commit({&pointer, 1}, env.wall_ms()).front().failure);
  }
  model::seq tail(const actors::conversation_actor& x) {
    return state_of<actors::conversation_state>(x).state.tail;
  }
};

net::publish_command publishing(const std::string& ref, std::uint64_t number) {
  auto drafts = std::make_shared<model::batch>();
  drafts->drafts.push_back(
      {.sender = "a", .kind = "message", .payload = ref, .message = {}, .source_id = {}});
  drafts->producer = "p";
  drafts->producer_seq = number;
  return {ref, actor_bed::room(), drafts};
}

} // namespace

TEST_CASE_FIXTURE(shared_log,
                  "what others add is known after a wake-up, and places go on behind it") {
  auto testee = conversation_of(room());
  publish(testee, 1, "p", 1);
  run();
  others_add("7");
  CHECK(tail(testee) == model::seq{1});
  caf::anon_send(testee, actors::atom::wake_up::value);
  caf::anon_send(testee, actors::atom::wake_up::value); // repeats are harmless
  run();
  CHECK(tail(testee) == model::seq{2});
  publish(testee, 2, "p", 2);
  run();
  CHECK(answer(2) == "3");
  CHECK(logged(room()) == "1 7 2");
}

TEST_CASE_FIXTURE(shared_log,
                  "a conversation that somebody follows looks after its log by itself") {
  auto testee = conversation_of(room());
  publish(testee, 1, "p", 1);
  run();
  auto me = dial("me");
  me.tell(subscribing("1"));
  run();
  others_add("7");
  advance(2'000);
  CHECK(tail(testee) == model::seq{2});
}

TEST_CASE_FIXTURE(actor_bed,
                  "a draft that overtook one of its producer waits until that has an outcome") {
  auto me = dial("me");
  me.tell(publishing("1", 1));
  run();
  REQUIRE(me.session->of<net::published_event>().size() == 1);
  log->script = {model::error{model::code::append_unknown, "test"}};
  me.tell(publishing("2", 2));
  run();
  me.tell(publishing("3", 3)); // the second one is sent again in a moment
  run();
  CHECK(me.session->of<net::failed_event>().empty());
  advance(300);
  advance(300);
  CHECK(me.session->of<net::published_event>().size() == 3);
  CHECK(me.session->of<net::failed_event>().empty());
  CHECK(logged(room()) == "1 2 3");
}
