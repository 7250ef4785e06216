// Races between what a conversation waits for and what is asked of it meanwhile.
#include "support/actor_bed.hpp"

#include <doctest/doctest.h>

using namespace confab;
using namespace confab::test;

namespace {

/// With the number as its payload.
net::publish_command numbered(const std::string& producer, std::uint64_t number) {
  auto drafts = std::make_shared<model::batch>();
  drafts->drafts.push_back({.sender = "a",
                            .kind = "k",
                            .payload = std::to_string(number),
                            .message = {},
                            .source_id = {}});
  drafts->producer = producer;
  drafts->producer_seq = number;
  return {std::to_string(number), actor_bed::room(), drafts};
}

std::vector<std::string> failures(const actor_bed::line& x) {
  std::vector<std::string> codes;
  for (const auto& y : x.session->of<net::failed_event>())
    codes.push_back(y.ref + ' ' + std::string{to_string(y.why.what)});
  return codes;
}

} // namespace

TEST_CASE_FIXTURE(actor_bed, "a draft behind a deletion waits for it") {
  auto testee = conversation_of(room());
  publish(testee, 1, "p", 1);
  run();
  // All in the mailbox at once: an append, the deletion that waits for it, and a draft behind that.
  publish(testee, 2, "p", 2);
  caf::anon_send(testee, actors::atom::remove::value);
  publish(testee, 3, "~q", 1);
  run();
  CHECK(answer(2) == "2");
  CHECK(answer(3) == "1");
  CHECK(log->refused == 0);
}

TEST_CASE_FIXTURE(actor_bed, "a draft behind closing and deleting creates the log anew") {
  auto testee = conversation_of(room());
  publish(testee, 1, "p", 1);
  run();
  publish(testee, 2, "p", 2);
  caf::anon_send(testee, actors::atom::close::value);
  caf::anon_send(testee, actors::atom::remove::value);
  publish(testee, 3, "~q", 1);
  run();
  CHECK(answer(3) == "1");
}

TEST_CASE_FIXTURE(actor_bed, "what a conversation reads behind an unknown outcome does not undo a "
                             "close that came later") {
  auto testee = conversation_of(room());
  publish(testee, 1, "p", 1);
  run();
  log->script = {model::error{model::code::append_unknown, "test"}};
  publish(testee, 2, "p", 2);
  caf::anon_send(testee, actors::atom::close::value);
  run();
  CHECK(answer(2) == "append_unknown");
  CHECK(state_of<actors::conversation_state>(testee).state.life == model::lifecycle::closed);
}

TEST_CASE_FIXTURE(actor_bed, "an internal draft that comes late is appended, not called old") {
  auto testee = conversation_of(room());
  publish(testee, 2, "~c", 2);
  run();
  publish(testee, 1, "~c", 1, true); // it was on its way to an incarnation that had moved
  run();
  CHECK(answer(2) == "1");
  CHECK(answer(1) == "2");
}

TEST_CASE_FIXTURE(actor_bed, "a producer of a deleted log is not remembered by its successor") {
  publish(conversation_of(room()), 1, "p", 1);
  run();
  advance(env.at_most.passivate_ms + 1);
  auto testee = conversation_of(room());               // it does not know the producer yet
  publish(testee, 2, "p", 1);                          // looked up, then
  caf::anon_send(testee, actors::atom::remove::value); // deleted before the answer is there
  run();
  publish(testee, 3, "p", 1);
  run();
  // The second publish is the first entry of the new log, and the third one repeats it.
  CHECK(answer(2) == "1");
  CHECK(answer(3) == "1!");
  CHECK(logged(room()) == "2");
}

TEST_CASE_FIXTURE(actor_bed, "a connection that ends while its late subscribe supersedes another "
                             "leaves nothing behind") {
  auto testee = conversation_of(room());
  auto old = dial("me");
  old.tell(subscribing("1"));
  run();
  auto fresh = dial("me");
  fresh.tell(subscribing("2"));
  let(fresh.actor);
  let(directory);
  let(fresh.actor); // asks the conversation, which is slow
  old.tell(subscribing("3"));
  let(old.actor); // asks it too
  let(testee);    // `fresh` ends the subscription of `old`
  let(old.actor);
  old.end();
  run();
  fresh.end();
  run();
  CHECK(state_of<actors::conversation_state>(testee).subscribers.empty());
}

TEST_CASE_FIXTURE(actor_bed, "a connection that ends while a draft looks for its conversation "
                             "unsubscribes all the same") {
  auto testee = conversation_of(room());
  auto one = dial("me");
  one.tell(subscribing("1"));
  run();
  // The answer of an incarnation that is no more: the connection asks the directory again.
  auto drafts = std::make_shared<model::batch>();
  drafts->drafts.push_back(
      {.sender = "a", .kind = "k", .payload = "1", .message = {}, .source_id = {}});
  one.tell(net::publish_command{"2", room(), drafts});
  let(one.actor);
  auto request = state_of<actors::connection_state>(one.actor).drafts.begin()->first;
  caf::anon_send(caf::actor_cast<actors::client_actor>(one.actor), actors::atom::receipts::value,
                 actors::append_answers{
                     {{request, model::error{model::code::moved, "an old incarnation"}, {}, 0}}});
  let(one.actor);
  one.end();
  let(one.actor);
  run();
  CHECK(state_of<actors::conversation_state>(testee).subscribers.empty());
}

TEST_CASE_FIXTURE(actor_bed, "a reader that resumes at an id is told what was trimmed while it "
                             "subscribed") {
  auto testee = conversation_of(short_room());
  for (std::uint64_t n = 1; n <= 3; ++n)
    publish(testee, n, "p", n);
  run();
  auto second = (*store->reader())->page(short_room(), {2}, {2})->entries.front().id;
  auto one = dial("me");
  one.tell(net::subscribe_command{
      "1", short_room(),
      model::resume_request{.from = {.what = model::after::form::id, .id = {second.ms - 1, 0}},
                            .epoch = std::nullopt,
                            .id = std::nullopt}});
  let(one.actor);
  let(directory);
  let(one.actor);
  let(testee); // it answers that the first entry is the first
  bool more = true;
  while (more)
    REQUIRE_FALSE(log->retain(env.wall_ms(), more).size() > 1);
  run();
  pass();
  auto events = one.session->of<net::subscribed_event>();
  REQUIRE(events.size() == 1);
  CHECK(events[0].from.at == model::seq{});
  CHECK(events[0].state.first == model::seq{3});
}

TEST_CASE_FIXTURE(actor_bed, "a first draft for which there was no room is still to come") {
  auto testee = conversation_of(room());
  auto all = env.at_most.append_bytes;
  REQUIRE(env.appends.try_take(all));
  publish(testee, 1, "p", 5);
  run();
  env.appends.give_back(all);
  publish(testee, 2, "p", 6);
  run();
  publish(testee, 3, "p", 5);
  publish(testee, 4, "p", 6);
  run();
  CHECK(answer(1) == "overloaded");
  CHECK(answer(2) == "producer_gap");
  CHECK(answer(3) == "1");
  CHECK(answer(4) == "2");
}

TEST_CASE_FIXTURE(actor_bed, "a first draft that was refused is still to come when its conversation "
                             "has been passivated") {
  auto one = dial("me");
  auto all = env.at_most.append_bytes;
  REQUIRE(env.appends.try_take(all));
  one.tell(numbered("p", 5));
  run();
  env.appends.give_back(all);
  advance(2 * env.at_most.passivate_ms);
  REQUIRE(state_of<actors::directory_state>(directory).active.empty());
  one.tell(numbered("p", 6));
  run();
  one.tell(numbered("p", 5));
  one.tell(numbered("p", 6));
  run();
  CHECK(failures(one) == std::vector<std::string>{"5 overloaded", "6 producer_gap"});
  CHECK(logged(room()) == "5 6");
}

TEST_CASE_FIXTURE(actor_bed, "a first draft whose deadline came before its conversation was found "
                             "is still to come") {
  auto one = dial("me");
  one.tell(numbered("p", 5));
  let(one.actor); // asks the directory, which is slow
  system.advance(std::chrono::milliseconds{env.at_most.publish_deadline_ms + 1});
  let(one.actor);
  one.tell(numbered("p", 6));
  run();
  CHECK(failures(one) == std::vector<std::string>{"5 append_unknown", "6 producer_gap"});
  CHECK(logged(room()).empty());
}

TEST_CASE_FIXTURE(actor_bed, "drafts that meet a conversation which moves are appended in order") {
  auto old = conversation_of(room());
  auto one = dial("me");
  one.tell(subscribing("s"));
  one.tell(numbered("p", 1));
  let(one.actor, 2);
  let(directory);
  let(one.actor); // both are sent to the old one
  state_of<actors::conversation_state>(old).leaving = true;
  caf::anon_send(directory, actors::atom::passivate::value, room(), old);
  let(directory);
  let(old);         // `moved` for the subscribe
  let(one.actor);   // which asks for the next one
  one.tell(numbered("p", 2));
  let(one.actor);
  run();
  CHECK(failures(one).empty());
  CHECK(logged(room()) == "1 2");
}
