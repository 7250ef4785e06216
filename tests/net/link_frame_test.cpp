// What nodes say to each other: it comes back as it was said, and hostile bytes do no harm.
#include "net/wire/link_bytes.hpp"
#include "net/wire/link_frame.hpp"

#include "net/wire/link_hello.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace confab;
using namespace confab::net::wire;

namespace {

model::conversation_name room() {
  return *model::conversation_name::parse("room/1");
}

model::log_state state(std::uint64_t tail) {
  return {.epoch = *model::parse_epoch("k3f9.1"),
          .first = {1},
          .tail = {tail},
          .tail_id = {1'700'000'000'000, 7},
          .life = model::lifecycle::open};
}

model::run_ptr some_run(std::uint64_t first, std::size_t count) {
  std::vector<model::entry> entries;
  for (std::uint64_t i = 0; i < count; ++i)
    entries.push_back({.at = {first + i},
                       .id = {1'700'000'000'000 + i, 3},
                       .time_ms = 1'700'000'000'000,
                       .sender = "ann",
                       .kind = "message",
                       .payload = R"({"n":)" + std::to_string(i) + "}",
                       .producer = "p",
                       .producer_seq = i,
                       .message = "m1",
                       .source_id = "1-0"});
  return std::make_shared<model::run>(std::make_shared<const model::conversation_name>(room()),
                                      state(9).epoch, std::move(entries), nullptr);
}

std::shared_ptr<model::batch> some_batch() {
  auto x = std::make_shared<model::batch>();
  x->drafts.push_back(
      {.sender = "ann", .kind = "note", .payload = "[1]", .message = "m", .source_id = {}});
  x->drafts.push_back(
      {.sender = "ann", .kind = "note", .payload = "\"x\"", .message = {}, .source_id = {}});
  x->producer = "~00ff:1:2";
  x->producer_epoch = 3;
  x->producer_seq = 4;
  x->fingerprint = 1ULL << 63;
  x->where.stream_seq = "abc";
  x->where.closes = true;
  x->where.numbering = model::numbering::from_zero;
  return x;
}

std::string some_frame() {
  link_frame_writer to{5, 300};
  to.add(follow_record{room()});
  to.add(unfollow_record{room()});
  to.add(wake_record{room()});
  to.add(append_record{1ULL << 40, room(), true, some_batch()});
  to.add(answer_record{7, model::receipt{{8}, 2, {5, 6}, true}, state(9), 11});
  to.add(answer_record{8, model::error{model::code::producer_gap, "is not", 12}, state(9), 11});
  auto name = std::make_shared<const model::conversation_name>(room());
  to.add(announcement_record{name, state(9), {some_run(5, 2), some_run(7, 3)}});
  to.add(announcement_record{name, {.life = model::lifecycle::deleted}, {}});
  to.add(lease_record{true});
  to.add(lease_record{false});
  return std::move(to).finish();
}

} // namespace

TEST_CASE("a frame comes back as it was written") {
  auto read = read_link_frame(some_frame(), nullptr);
  REQUIRE(read);
  CHECK(read->serial == 5);
  CHECK(read->acked == 300);
  REQUIRE(read->records.size() == 10);
  CHECK(std::get<lease_record>(read->records[8]).held);
  CHECK_FALSE(std::get<lease_record>(read->records[9]).held);
  CHECK(std::get<follow_record>(read->records[0]).name == room());
  CHECK(std::get<unfollow_record>(read->records[1]).name == room());
  CHECK(std::get<wake_record>(read->records[2]).name == room());
  const auto& append = std::get<append_record>(read->records[3]);
  CHECK(append.request == 1ULL << 40);
  CHECK(append.retried);
  auto batch = some_batch();
  CHECK(append.drafts->producer == batch->producer);
  CHECK(append.drafts->producer_epoch == 3);
  CHECK(append.drafts->producer_seq == 4);
  CHECK(append.drafts->fingerprint == batch->fingerprint);
  CHECK(append.drafts->where.stream_seq == "abc");
  CHECK(append.drafts->where.closes);
  CHECK_FALSE(append.drafts->where.must_exist);
  CHECK(append.drafts->where.numbering == model::numbering::from_zero);
  REQUIRE(append.drafts->drafts.size() == 2);
  CHECK(append.drafts->drafts[0].payload == "[1]");
  CHECK(append.drafts->drafts[1].kind == "note");
  const auto& good = std::get<answer_record>(read->records[4]);
  REQUIRE(good.got);
  CHECK(*good.got == model::receipt{{8}, 2, {5, 6}, true});
  CHECK(good.state == state(9));
  CHECK(good.producer_last == 11);
  const auto& bad = std::get<answer_record>(read->records[5]);
  REQUIRE_FALSE(bad.got);
  CHECK(bad.got.why().what == model::code::producer_gap);
  CHECK(bad.got.why().expected == 12);
  const auto& news = std::get<announcement_record>(read->records[6]);
  CHECK(news.state == state(9));
  REQUIRE(news.newest.size() == 2);
  CHECK(news.newest[1]->entries()[2] == some_run(7, 3)->entries()[2]);
  const auto& gone = std::get<announcement_record>(read->records[7]);
  CHECK(gone.state.life == model::lifecycle::deleted);
  CHECK(gone.state.epoch.empty());
}

TEST_CASE("a hello comes back as it was written, and nothing else is one") {
  link_hello said{
      .cluster = "c", .protocol = 1, .version = "0.1.0", .incarnation = "ab12", .to = "cd34"};
  auto read = read_link_hello(make_link_hello(said));
  REQUIRE(read);
  CHECK(*read == said);
  CHECK_FALSE(read_link_hello(""));
  CHECK_FALSE(read_link_hello("GET / HTTP/1.1"));
  CHECK_FALSE(read_link_hello(make_link_hello({})));
  // A newer node says more.
  CHECK(read_link_hello(make_link_hello(said) + "more"));
}

TEST_CASE("what a newer node says beyond what is known here is skipped") {
  link_frame_writer to{1, 0};
  to.add(wake_record{room()});
  auto bytes = std::move(to).finish();
  bytes.push_back(99); // a record of a kind to come
  add_text(bytes, "whatever");
  std::string body; // a known one with a member to come
  add_text(body, room().text());
  add_text(body, "new");
  bytes.push_back(1);
  add_text(bytes, body);
  auto read = read_link_frame(bytes, nullptr);
  REQUIRE(read);
  REQUIRE(read->records.size() == 2);
  CHECK(std::get<follow_record>(read->records[1]).name == room());
}

TEST_CASE(
    "a frame of nothing but records to come wants an acknowledgement, one without any does not") {
  auto bytes = link_frame_writer{1, 0}.finish();
  CHECK_FALSE(read_link_frame(bytes, nullptr)->says_something);
  bytes.push_back(99);
  add_text(bytes, "whatever");
  auto read = read_link_frame(bytes, nullptr);
  REQUIRE(read);
  CHECK(read->says_something);
  CHECK(read->records.empty());
}

TEST_CASE("an error code to come means that the outcome is unknown") {
  link_frame_writer to{1, 0};
  to.add(answer_record{1, model::error{model::code::overloaded, "x"}, {}, 0});
  auto bytes = std::move(to).finish();
  auto at = bytes.find("overloaded");
  REQUIRE(at != std::string::npos);
  bytes.replace(at, 10, "overheated");
  auto read = read_link_frame(bytes, nullptr);
  REQUIRE(read);
  CHECK(std::get<answer_record>(read->records[0]).got.why().what == model::code::append_unknown);
}

TEST_CASE("drafts without a producer, and payloads that are no JSON, are refused") {
  auto with = [](auto change) {
    auto batch = some_batch();
    change(*batch);
    link_frame_writer to{1, 0};
    to.add(append_record{1, room(), false, batch});
    return read_link_frame(std::move(to).finish(), nullptr);
  };
  CHECK(with([](model::batch&) {}));
  CHECK_FALSE(with([](model::batch& x) { x.producer.clear(); }));
  CHECK_FALSE(with([](model::batch& x) { x.drafts[0].payload = "{"; }));
  CHECK_FALSE(with([](model::batch& x) { x.drafts[0].sender = "\xff"; }));
  CHECK(with([](model::batch& x) {
    x.where.content_type = "application/octet-stream";
    x.drafts[0].payload = "\xff{";
  }));
}

TEST_CASE("hostile bytes give an error or values that a node could have sent") {
  auto whole = some_frame();
  for (std::size_t n = 0; n < whole.size(); ++n)
    (void)read_link_frame(std::string_view{whole}.substr(0, n), nullptr);
  std::size_t refused = 0;
  for (unsigned seed = 0; seed < 20'000; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    auto bytes = whole;
    for (auto n = 1 + random() % 4; n > 0; --n) {
      auto at = random() % bytes.size();
      switch (random() % 3) {
      case 0:
        bytes[at] = static_cast<char>(random());
        break;
      case 1:
        bytes.erase(at, 1 + random() % 8);
        break;
      default:
        bytes.insert(at, 1 + random() % 8, static_cast<char>(random()));
      }
    }
    auto read = read_link_frame(bytes, nullptr);
    refused += read ? 0 : 1;
    if (!read)
      continue;
    for (const auto& record : read->records)
      if (const auto* x = std::get_if<announcement_record>(&record))
        for (const auto& run : x->newest)
          REQUIRE(run->last().value - run->first().value + 1 == run->size());
  }
  CHECK(refused > 1000);
}
