// Creation, conditions, closing and deadlines, from a connection's command to its answer.
#include "support/actor_bed.hpp"

#include <doctest/doctest.h>

using namespace confab;
using namespace confab::test;

namespace {

struct stream_bed : actor_bed {
  line one = dial("~one");

  void create(model::creation x, const model::conversation_name& name = room()) {
    one.tell(net::create_command{name, std::make_shared<const model::creation>(std::move(x))});
    run();
  }
  void create(const std::string& type) {
    model::creation x;
    x.content_type = type;
    create(x);
  }
  /// A batch as the Durable Streams protocol sends it: nothing is created by it.
  static model::batch asking(std::vector<std::string> payloads, const std::string& type) {
    model::batch x;
    for (auto& y : payloads)
      x.drafts.push_back({.sender = "a", .payload = std::move(y), .message = {}, .source_id = {}});
    x.where.content_type = type;
    x.where.must_exist = true;
    x.where.numbering = model::numbering::from_zero;
    return x;
  }
  void send(model::batch x) {
    one.tell(net::publish_command{{}, room(), std::make_shared<const model::batch>(std::move(x))});
  }
  void send_numbered(std::uint64_t number, bool closes = false, std::uint32_t epoch = 0) {
    auto x = asking({std::to_string(number)}, "text/plain");
    x.producer = "p";
    x.producer_epoch = epoch;
    x.producer_seq = number;
    x.where.closes = closes;
    send(std::move(x));
  }
  /// All answers so far, in order: `created`, `exists`, a receipt's range (`1-2`, `!` a duplicate),
  /// an error's code.
  std::string answers() const {
    std::string all;
    for (const auto& x : one.session->events) {
      all += all.empty() ? "" : " ";
      if (const auto* c = std::get_if<net::created_event>(&x))
        all += c->what.existed ? "exists" : "created";
      else if (const auto* p = std::get_if<net::published_event>(&x))
        all += std::to_string(p->got.first.value) + '-' + std::to_string(p->got.last().value) +
               (p->got.duplicate ? "!" : "");
      else if (const auto* f = std::get_if<net::failed_event>(&x))
        all += to_string(f->why.what);
      else
        all += "other";
    }
    return all;
  }
  template <class Event>
  Event last() const {
    auto all = one.session->of<Event>();
    REQUIRE_FALSE(all.empty());
    return all.back();
  }
};

} // namespace

TEST_CASE_FIXTURE(stream_bed,
                  "a creation is answered once it is in the log, and again is no error") {
  create("text/plain");
  create("text/plain");
  create("image/png");
  CHECK(answers() == "created exists conflict");
  CHECK(last<net::created_event>().what.settings.content_type == "text/plain");
}

TEST_CASE_FIXTURE(stream_bed,
                  "an append that must not create finds nothing, until there is a log") {
  send(asking({"x"}, "text/plain"));
  run();
  create("text/plain");
  send(asking({"x", "y"}, "TEXT/plain; charset=utf-8"));
  run();
  send(asking({"1"}, "application/json"));
  run();
  CHECK(answers() == "not_found created 1-2 content_type");
  CHECK(last<net::published_event>().state.epoch == last<net::created_event>().what.state.epoch);
}

TEST_CASE_FIXTURE(stream_bed, "a JSON publish to a log of another type is refused") {
  create("image/png");
  publish(conversation_of(room()), 1, "p", 1);
  run();
  CHECK(answer(1) == "content_type");
}

TEST_CASE_FIXTURE(stream_bed,
                  "what closes is atomic with its entries, and what comes behind it waits "
                  "and is refused") {
  create("text/plain");
  send_numbered(0);
  run();
  send_numbered(1, true);
  send_numbered(1, true);
  send_numbered(2);
  send(asking({"z"}, "text/plain"));
  run();
  CHECK(answers() == "created 1-1 2-2 2-2! closed closed");
  CHECK(last<net::published_event>().state.life == model::lifecycle::closed);
  CHECK(last<net::failed_event>().state.tail == model::seq{2});
  CHECK(logged(room()) == "0 1");
}

TEST_CASE_FIXTURE(stream_bed,
                  "closing without entries is deduplicated by its number, and without one "
                  "it is no error again") {
  create("text/plain");
  send_numbered(0);
  auto close = asking({}, "ignored/type");
  close.where.closes = true;
  auto numbered = close;
  numbered.producer = "p";
  numbered.producer_seq = 1;
  send(numbered);
  run();
  advance(env.at_most.passivate_ms + 1); // its successor knows it from the log
  send(numbered);
  run();
  send(close);
  run();
  CHECK(answers() == "created 1-1 2-1 2-1! 2-1!");
  CHECK(last<net::published_event>().got.last_id() == last<net::published_event>().state.tail_id);
}

TEST_CASE_FIXTURE(stream_bed, "an append that closes and fails leaves the log open") {
  create("text/plain");
  send_numbered(0);
  run();
  log->script = {model::error{model::code::store_failed, "test"}};
  send_numbered(1, true);
  send(asking({"behind"}, "text/plain"));
  run();
  CHECK(answers() == "created 1-1 store_failed 2-2");
  send_numbered(1, true);
  run();
  CHECK(answers() == "created 1-1 store_failed 2-2 3-3");
}

TEST_CASE_FIXTURE(stream_bed,
                  "a closing append of unknown outcome is tried again, and nothing behind "
                  "it waits for ever") {
  create("text/plain");
  log->script = {model::error{model::code::append_unknown, "test"}};
  send_numbered(0, true);
  run();
  advance(1000);
  CHECK(answers() == "created 1-1");
  send(asking({"behind"}, "text/plain"));
  run();
  CHECK(answers() == "created 1-1 closed");
}

TEST_CASE_FIXTURE(stream_bed, "Stream-Seq rises also against what is on its way; a repeated number "
                              "comes first") {
  create("text/plain");
  auto with = [&](const std::string& stream_seq) {
    auto x = asking({stream_seq}, "text/plain");
    x.where.stream_seq = stream_seq;
    return x;
  };
  send(with("09"));
  send(with("10"));
  send(with("10")); // waits for the other one's outcome
  run();
  auto numbered = with("11");
  numbered.producer = "p";
  send(numbered);
  run();
  send(numbered);
  run();
  send(with("2"));
  run();
  send(with("100"));
  run();
  CHECK(answers() == "created 1-1 2-2 stream_seq 3-3 3-3! 4-4 stream_seq");
  advance(env.at_most.passivate_ms + 1);
  send(with("1999"));
  run();
  CHECK(answers().ends_with("stream_seq stream_seq"));
}

TEST_CASE_FIXTURE(stream_bed, "a Stream-Seq whose append fails is free again") {
  create("text/plain");
  auto x = asking({"x"}, "text/plain");
  x.where.stream_seq = "5";
  log->script = {model::error{model::code::store_failed, "test"}};
  send(x);
  x.where.stream_seq = "4";
  send(x);
  run();
  CHECK(answers() == "created store_failed 1-1");
}

TEST_CASE_FIXTURE(stream_bed, "producers that number from zero are told their place") {
  create("text/plain");
  send_numbered(3);
  run();
  CHECK(last<net::failed_event>().why.expected == 0);
  for (std::uint64_t number : {0, 1, 2})
    send_numbered(number);
  run();
  send_numbered(1);
  run();
  CHECK(last<net::published_event>().got.duplicate);
  CHECK(last<net::published_event>().producer_last == 2);
  send_numbered(5);
  run();
  CHECK(last<net::failed_event>().why.expected == 3);
  send_numbered(7, false, 2);
  run();
  CHECK(last<net::failed_event>().why.what == model::code::bad_request);
  send_numbered(0, false, 2);
  send_numbered(3);
  run();
  CHECK(last<net::failed_event>().why.what == model::code::producer_epoch);
  CHECK(last<net::failed_event>().why.expected == 2);
}

TEST_CASE_FIXTURE(stream_bed,
                  "a deadline ends a log for subscribers, readers and writers at once") {
  model::creation x;
  x.content_type = "text/plain";
  x.lifetime.ttl_s = 10;
  x.drafts.push_back({.sender = "a", .payload = "x", .message = {}, .source_id = {}});
  create(x);
  auto reader = dial("~reader");
  reader.tell(subscribing("1"));
  run();
  auto feed = reader.session->of<net::subscribed_event>().front().feed;
  CHECK(feed->state().tail == model::seq{1});
  advance(9000);
  send(asking({"y"}, "text/plain")); // a write: the ttl begins anew
  run();
  advance(9000);
  CHECK(feed->state().life == model::lifecycle::open);
  auto page = net::page_command{
      room(), {.from = {.what = model::after::form::start}, .epoch = {}, .id = {}}, 10};
  one.tell(page); // so does a read, but not a question about the log
  run();
  advance(9000);
  one.tell(net::info_command{room()});
  run();
  CHECK(last<net::info_event>().settings.lifetime.ttl_s == 10U);
  CHECK(last<net::page_event>().held->entries.size() == 2);
  advance(2000);
  CHECK(feed->state().life == model::lifecycle::deleted);
  CHECK(feed->state().epoch.empty());
  send(asking({"z"}, "text/plain"));
  one.tell(net::info_command{room()});
  run();
  CHECK(answers().ends_with("not_found not_found"));
  create("image/png");
  CHECK(answers().ends_with("not_found created"));
}

TEST_CASE_FIXTURE(stream_bed,
                  "a source with forks is gone for every command, and a position in it is one "
                  "in its forks") {
  create("text/plain");
  send(asking({"x"}, "text/plain"));
  run();
  auto in_source = last<net::published_event>();
  auto fork = *model::conversation_name::parse("fork");
  model::creation x;
  x.fork = model::fork_point{.source = room()};
  create(x, fork);
  one.tell(net::delete_command{room()});
  run();
  one.session->events.clear();
  one.tell(net::info_command{room()});
  run();
  send(asking({"y"}, "text/plain"));
  run();
  one.tell(net::delete_command{room()});
  run();
  create("text/plain");
  CHECK(answers() == "gone gone gone conflict");
  model::resume_request from{.from = {.what = model::after::form::seq, .at = {1}},
                             .epoch = in_source.state.epoch,
                             .id = in_source.got.id};
  one.tell(net::page_command{fork, from, 10});
  one.tell(net::subscribe_command{"1", fork, from});
  run();
  CHECK(last<net::page_event>().after.at == model::seq{1});
  CHECK_FALSE(last<net::page_event>().after.reset);
  CHECK(last<net::subscribed_event>().from.at == model::seq{1});
  CHECK_FALSE(last<net::subscribed_event>().from.reset);
}
