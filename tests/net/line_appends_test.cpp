#include "net/line_appends.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <random>

using namespace confab;
using namespace confab::net;
using nlohmann::json;

namespace {

const auto room = *model::conversation_name::parse("room");

std::string draft(int x) {
  return R"({"payload":)" + std::to_string(x) + '}';
}

published_event receipt(const publish_command& x, std::uint64_t seq) {
  return {x.ref, x.name, {.first = {seq}, .id = {1, seq}}, x.drafts->bytes()};
}

std::vector<publish_command> all(line_appends& x) {
  std::vector<publish_command> out;
  while (auto one = x.next())
    out.push_back(std::move(*one));
  return out;
}

} // namespace

TEST_CASE("each line is published as it ends, wherever the pieces end, and blank ones count only") {
  const std::string body = draft(1) + "\n\r\n  \n" + draft(4) + "\r\n" + draft(5);
  for (std::size_t piece = 1; piece <= body.size(); ++piece) {
    session_limits limits;
    line_appends x{room, "", false, limits};
    std::vector<publish_command> got;
    for (std::size_t at = 0; at < body.size(); at += piece) {
      x.feed(body.substr(at, piece));
      for (auto& one : all(x))
        got.push_back(std::move(one));
    }
    CHECK(got.size() == 2); // the third has not ended
    x.end();
    for (auto& one : all(x))
      got.push_back(std::move(one));
    REQUIRE(got.size() == 3);
    CHECK(got[1].ref == "4");
    CHECK(got[1].drafts->drafts[0].payload == "4");
    CHECK_FALSE(x.finished());
    for (std::size_t i = 0; i < 3; ++i)
      x.answered(receipt(got[i], i + 1));
    CHECK(x.finished());
    CHECK(x.appended());
  }
}

TEST_CASE("receipts leave in the lines' order, whichever answer comes first") {
  session_limits limits;
  line_appends x{room, "", true, limits};
  x.feed(draft(1) + '\n' + draft(2) + '\n');
  auto sent = all(x);
  x.answered(receipt(sent[1], 8));
  CHECK(x.take_receipts('\n').empty());
  x.answered(receipt(sent[0], 7));
  auto got = x.take_receipts('\n');
  CHECK(json::parse(got.substr(0, got.find('\n'))) ==
        json::parse(R"({"line":1,"seq":7,"id":"1-7","duplicate":false})"));
  CHECK(json::parse(got.substr(got.find('\n'))) ==
        json::parse(R"({"line":2,"seq":8,"id":"1-8","duplicate":false})"));
}

TEST_CASE("a line that is refused ends the body by its number, and what came before stays") {
  for (const char* bad : {"nonsense", "{}", "[]", R"([{"payload":1}])", R"({"payload":1}{})"}) {
    session_limits limits;
    line_appends x{room, "", false, limits};
    x.feed(draft(1) + '\n' + bad + '\n' + draft(3) + '\n');
    auto sent = all(x);
    REQUIRE(sent.size() == 1);
    CHECK(x.over());
    CHECK_FALSE(x.finished());
    x.answered(receipt(sent[0], 1));
    CHECK(x.finished());
    REQUIRE(x.refusal());
    CHECK(x.refusal()->line == 2);
    CHECK(x.refusal()->why.detail.starts_with("line 2: "));
    CHECK_FALSE(x.take_receipts(',').empty());
  }
}

TEST_CASE("the first line that fails is the one that is named") {
  session_limits limits;
  line_appends x{room, "", false, limits};
  x.feed(draft(1) + '\n' + draft(2) + '\n' + "nonsense\n");
  auto sent = all(x);
  auto failed = [](const publish_command& y) {
    return failed_event{y.ref, y.name, {model::code::closed, "it is"}, y.drafts->bytes()};
  };
  x.answered(failed(sent[1]));
  x.answered(failed(sent[0]));
  CHECK(x.finished());
  CHECK(x.refusal()->line == 1);
  CHECK(x.refusal()->why.what == model::code::closed);
}

TEST_CASE("the body waits while as many drafts as may be are unanswered") {
  session_limits limits;
  limits.unanswered_drafts = 2;
  line_appends x{room, "", false, limits};
  x.feed(draft(1) + '\n' + draft(2) + '\n' + draft(3) + '\n');
  auto sent = all(x);
  CHECK(sent.size() == 2);
  CHECK(x.full());
  CHECK(x.holds_line());
  x.answered(receipt(sent[0], 1));
  CHECK_FALSE(x.full());
  CHECK(all(x).size() == 1);
  limits.unanswered_drafts = 64;
  limits.unanswered_bytes = 1;
  line_appends y{room, "", false, limits};
  y.feed(draft(1) + '\n' + draft(2) + '\n');
  CHECK(all(y).size() == 1);
  CHECK(y.full());
}

TEST_CASE("a line has a bound, also while it arrives") {
  session_limits limits;
  limits.frame_bytes = 100;
  line_appends x{room, "", false, limits};
  x.feed(std::string(101, 'x'));
  CHECK(all(x).empty());
  CHECK(x.refusal()->why.what == model::code::frame_too_large);
  CHECK(x.finished());
}

TEST_CASE("receipts that nobody takes are bounded") {
  session_limits limits;
  line_appends x{room, "", false, limits};
  std::uint64_t seq = 0;
  while (!x.over() && seq < 100'000) {
    x.feed(draft(1) + '\n');
    for (auto& one : all(x))
      x.answered(receipt(one, ++seq));
  }
  REQUIRE(x.refusal());
  CHECK(x.refusal()->why.what == model::code::batch_too_large);
  CHECK(x.take_receipts(',').size() < line_appends::receipts_bytes_max + 1000);
}

TEST_CASE("each line has an idempotency key of its own, which no other key equals") {
  session_limits limits;
  line_appends x{room, "k", false, limits};
  x.feed(draft(1) + '\n' + draft(1) + '\n');
  auto sent = all(x);
  CHECK(sent[0].drafts->producer == "=k\x1f"
                                    "1");
  CHECK(sent[1].drafts->producer == "=k\x1f"
                                    "2");
  CHECK(sent[0].drafts->fingerprint == sent[1].drafts->fingerprint);
  line_appends y{room, "k", false, limits};
  y.feed(R"({"payload":1,"producer":"p","producer_seq":1})"
         "\n");
  CHECK(all(y).empty());
  CHECK(y.refusal()->why.what == model::code::bad_producer);
}
