// What leaves parses back to what was meant.
#include "net/wire/formats.hpp"

#include "support/frame_reader.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace confab;
using namespace confab::net;
using nlohmann::json;

namespace {

const auto room = *model::conversation_name::parse("room/1");
const model::epoch now{"e.1"};

model::entry sample() {
  return {.at = {42},
          .id = {1000, 7},
          .time_ms = 1001,
          .sender = "al\"ice",
          .kind = "k\n",
          .payload = "{\"a\": 1.0,\n\"a\":\r12345678901234567890123}",
          .producer = "p",
          .producer_seq = 9,
          .message = "m\\",
          .source_id = "5-1"};
}

/// The payloads of all frames; each is a whole text frame.
std::vector<std::string> texts(const std::string& bytes) {
  std::vector<std::string> result;
  test::frame_reader reader;
  CHECK(reader.take(bytes, [&](int opcode, std::string_view text) {
    CHECK(opcode == 1);
    result.emplace_back(text);
  }));
  CHECK(reader.pending() == 0);
  return result;
}

template <class Add>
json said(Add add) {
  std::string out;
  add(out);
  auto all = texts(out);
  REQUIRE(all.size() == 1);
  return json::parse(all[0]);
}

/// The fields of one event.
std::vector<std::string> lines(const std::string& event) {
  REQUIRE(event.ends_with("\n\n"));
  std::vector<std::string> result;
  for (std::size_t i = 0; i + 1 < event.size();) {
    auto end = event.find('\n', i);
    result.push_back(event.substr(i, end - i));
    i = end + 1;
  }
  return result;
}

} // namespace

TEST_CASE("a frame of any size has the shortest head and its own payload") {
  for (std::size_t n : {0, 1, 125, 126, 127, 65535, 65536, 200'000}) {
    CAPTURE(n);
    std::string out;
    wire::add_frame(out, std::string(n, 'x'));
    wire::add_frame(out, "behind");
    CHECK(texts(out) == std::vector<std::string>{std::string(n, 'x'), "behind"});
  }
}

TEST_CASE("an entry's frame holds its members, and its payload as it was written") {
  std::string out;
  wire::websocket_format().add_entry(out, room, now, sample());
  auto text = texts(out).at(0);
  CHECK(text.find(sample().payload) != std::string::npos);
  auto x = json::parse(text);
  CHECK(x["op"] == "entry");
  CHECK(x["conversation"] == "room/1");
  CHECK(x["seq"] == 42);
  CHECK(x["id"] == "1000-7");
  CHECK(x["time"] == 1001);
  CHECK(x["sender"] == "al\"ice");
  CHECK(x["kind"] == "k\n");
  CHECK(x["producer"] == "p");
  CHECK(x["producer_seq"] == 9);
  CHECK(x["message"] == "m\\");
  CHECK(x["source_id"] == "5-1");
}

TEST_CASE("internal producers and idempotency keys are shown to nobody") {
  for (const char* producer : {"", "~c", "=key"}) {
    auto entry = sample();
    entry.producer = producer;
    auto x = said([&](auto& out) { wire::websocket_format().add_entry(out, room, now, entry); });
    CHECK_FALSE(x.contains("producer"));
    CHECK_FALSE(x.contains("producer_seq"));
  }
}

TEST_CASE("marks are frames of their own") {
  const auto& format = wire::websocket_format();
  CHECK(said([&](auto& out) {
          format.add_live(out, room, {now, {7}, {}});
        }) == json::parse(R"({"op":"live","conversation":"room/1","seq":7,"epoch":"e.1"})"));
  CHECK(said([&](auto& out) {
          format.add_closed(out, room, {now, {7}, {}});
        }) == json::parse(R"({"op":"closed","conversation":"room/1","seq":7})"));
  CHECK(
      said([&](auto& out) {
        format.add_reset(out, room, model::reset_reason::trimmed, now, {3}, {19});
      }) ==
      json::parse(
          R"({"op":"reset","conversation":"room/1","reason":"trimmed","missing":[3,19],"epoch":"e.1"})"));
  CHECK(said([&](auto& out) {
          format.add_reset(out, room, model::reset_reason::deleted, {}, {}, {});
        }) ==
        json::parse(R"({"op":"reset","conversation":"room/1","reason":"deleted","epoch":""})"));
}

TEST_CASE("answers repeat the ref as it was given, and leave none out that was not") {
  auto x = said([](auto& out) {
    wire::add_subscribed(out, {.ref = R"({"a":1})",
                               .name = room,
                               .feed = nullptr,
                               .state = {.epoch = now, .first = {3}, .tail = {57}},
                               .from = {.at = {41}}});
  });
  CHECK(x == json::parse(R"({"op":"subscribed","ref":{"a":1},"conversation":"room/1","epoch":"e.1",
                             "first":3,"last":57,"after":41,"unread":16})"));
  CHECK(said([](auto& out) { wire::add_pong(out, ""); }) == json::parse(R"({"op":"pong"})"));
  CHECK(said([](auto& out) { wire::add_pong(out, "null"); })["ref"].is_null());
  CHECK(said([](auto& out) { wire::add_goodbye(out, "draining", 1830); }) ==
        json::parse(R"({"op":"goodbye","reason":"draining","reconnect_ms":1830})"));
  x = said([](auto& out) {
    wire::add_published(
        out, {.ref = "2", .name = room, .got = {.first = {58}, .id = {9, 1}, .duplicate = true}});
  });
  CHECK(
      x ==
      json::parse(
          R"({"op":"published","ref":2,"conversation":"room/1","seq":58,"id":"9-1","duplicate":true})"));
  x = said([](auto& out) { wire::add_acked(out, {"3", room, {57}}); });
  CHECK(x == json::parse(R"({"op":"acked","ref":3,"conversation":"room/1","seq":57})"));
  x = said([](auto& out) { wire::add_unsubscribed(out, {"", room, true}); });
  CHECK(x == json::parse(R"({"op":"unsubscribed","conversation":"room/1","reason":"superseded"})"));
  x = said([](auto& out) { wire::add_hello(out, {"a\"b", "alice", 25000}); });
  CHECK(x["client"] == "a\"b");
  CHECK(x["heartbeat_ms"] == 25000);
}

TEST_CASE("an error says whether a retry can help, and what a gap expected") {
  auto x = said([](auto& out) {
    wire::add_failed(
        out, {.ref = "2", .name = room, .why = {model::code::producer_gap, "a \"gap\"\n", 6}});
  });
  CHECK(x["code"] == "producer_gap");
  CHECK(x["message"] == "a \"gap\"\n");
  CHECK(x["retry"] == false);
  CHECK(x["expected"] == 6);
  x = said([](auto& out) {
    wire::add_failed(out,
                     {.ref = "", .name = std::nullopt, .why = {model::code::overloaded, "later"}});
  });
  CHECK(x["retry"] == true);
  CHECK_FALSE(x.contains("expected"));
  CHECK_FALSE(x.contains("conversation"));
}

TEST_CASE("an event has its position as id, and its data on one line") {
  std::string out;
  wire::event_stream_format().add_entry(out, room, now, sample());
  auto all = lines(out);
  REQUIRE(all.size() == 2);
  CHECK(model::parse_position(all[0].substr(4)) == model::position{now, {42}, {1000, 7}});
  REQUIRE(all[1].starts_with("data: "));
  CHECK(out.find('\r') == std::string::npos);
  CHECK(json::parse(all[1].substr(6))["kind"] == "k\n");
}

TEST_CASE("marks are named events whose ids are positions to go on from") {
  const auto& format = wire::event_stream_format();
  std::string live, reset, other;
  format.add_live(live, room, {now, {7}, {9, 1}});
  CHECK(lines(live) == std::vector<std::string>{"id: 0000000000000007_e.1_9-1", "event: live",
                                                R"(data: {"seq":7})"});
  format.add_reset(reset, room, model::reset_reason::trimmed, now, {3}, {19});
  CHECK(lines(reset)[0] == "id: 0000000000000019_e.1_0-0");
  CHECK(json::parse(lines(reset)[2].substr(6))["missing"] == json::array({3, 19}));
  format.add_reset(other, room, model::reset_reason::epoch, now, {}, {});
  CHECK(lines(other)[0] == "id: 0000000000000000_e.1_0-0");
}

TEST_CASE("an HTTP page names what is missing before it") {
  auto held = std::make_shared<const model::page>(model::page{
      .state = {.epoch = now, .first = {3}, .tail = {42}}, .entries = {sample(), sample()}});
  auto x = json::parse(wire::page_body({held, {.at = {0}}}));
  CHECK(x["entries"].size() == 2);
  CHECK(x["reset"] == json::parse(R"({"reason":"trimmed","missing":[1,2]})"));
  CHECK_FALSE(json::parse(wire::page_body({held, {.at = {2}}})).contains("reset"));
  CHECK(json::parse(wire::page_body(
            {held, {.at = {0}, .reset = model::reset_reason::epoch}}))["reset"]["reason"] ==
        "epoch");
}

TEST_CASE("a status says whose fault it was, and only temporary errors ask to come back") {
  for (int i = 0; i <= static_cast<int>(model::code::moved); ++i) {
    auto code = static_cast<model::code>(i);
    CAPTURE(to_string(code));
    auto status = wire::status_of(code);
    if (code == model::code::timeout) {
      CHECK(status == 408); // the sender's own fault, and worth a retry
      continue;
    }
    CHECK_FALSE(wire::help_of(code).empty());
    CHECK((status == 503) == (temporary(code) || code == model::code::moved));
    CHECK((status >= 500) ==
          (temporary(code) || code == model::code::moved || code == model::code::log_damaged));
    CHECK(status >= 400);
    CHECK(status < 600);
  }
}

TEST_CASE("other HTTP bodies parse back") {
  model::receipt got{.first = {5}, .count = 2, .id = {9, 1}};
  CHECK(json::parse(wire::receipt_body(got, true))[1] ==
        json::parse(R"({"seq":6,"id":"9-2","duplicate":false})"));
  got.count = 1;
  CHECK(json::parse(wire::receipt_body(got, false))["seq"] == 5);
  auto x = json::parse(wire::info_body(
      {room, {.epoch = now, .life = model::lifecycle::closed}, "application/json"}));
  CHECK(x["closed"] == true);
  x = json::parse(wire::problem_body(409, "Conflict", {model::code::producer_gap, "\"", 6}));
  CHECK(x["status"] == 409);
  CHECK(x["detail"] == "\"");
  CHECK(x["expected"] == 6);
}

TEST_CASE("a payload that is not JSON is a string if it is text, else base64") {
  auto shown = [](model::payload_form form, const std::string& payload) {
    auto x = sample();
    x.form = form;
    x.payload = payload;
    std::string out = "{";
    wire::add_entry_members(out, x);
    return json::parse(out + '}');
  };
  using form = model::payload_form;
  auto text = shown(form::text, "say \"hi\"\n\xc3\xa4");
  CHECK(text["payload"] == "say \"hi\"\n\xc3\xa4");
  CHECK_FALSE(text.contains("payload_base64"));
  // A cut copy of text may end within a character.
  auto cut = shown(form::text, "\xc3");
  CHECK_FALSE(cut.contains("payload"));
  CHECK(cut["payload_base64"] == "ww==");
  CHECK(shown(form::bytes, "")["payload_base64"] == "");
  CHECK(shown(form::bytes, "fo")["payload_base64"] == "Zm8=");
  CHECK(shown(form::bytes, "foo")["payload_base64"] == "Zm9v");
  CHECK(shown(form::bytes, std::string{"\0\xff\x10\x80", 4})["payload_base64"] == "AP8QgA==");
  CHECK(shown(form::json, "[1]")["payload"] == json::array({1}));
}

TEST_CASE("what a conversation says of itself is JSON, whatever its content type is") {
  info_event x{room, {.epoch = now}, {"text/plain; x=\"y\"", {.ttl_s = 5, .expires_ms = 7}}};
  auto body = json::parse(wire::info_body(x));
  CHECK(body["content_type"] == "text/plain; x=\"y\"");
  CHECK(body["ttl_s"] == 5);
  CHECK(body["expires"] == 7);
  CHECK(body["closed"] == false);
}
