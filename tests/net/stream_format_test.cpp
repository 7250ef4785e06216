// Events of a stream parse back to what was appended, and nothing in a payload can end one.
#include "net/wire/stream_format.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace confab;
using namespace confab::net;
using model::payload_form;
using model::remaining;

namespace {

const auto room = *model::conversation_name::parse("s");
const model::epoch now{"e.1"};

struct event {
  std::string type;
  std::string data;
};

/// As the standard of event streams parses them.
std::vector<event> events_of(const std::string& text) {
  std::vector<event> result;
  event next;
  bool held = false;
  for (std::size_t at = 0; at < text.size();) {
    auto end = text.find_first_of("\r\n", at);
    REQUIRE(end != std::string::npos);
    auto line = text.substr(at, end - at);
    at = end + (text.compare(end, 2, "\r\n") == 0 ? 2 : 1);
    if (line.empty()) {
      if (held)
        result.push_back(next);
      next = {};
      held = false;
      continue;
    }
    auto colon = line.find(':');
    auto value = colon == std::string::npos ? "" : line.substr(colon + 1);
    if (value.starts_with(' '))
      value.erase(0, 1);
    if (line.starts_with("event:")) {
      next.type = value;
    } else if (line.starts_with("data:")) {
      next.data += (held ? "\n" : "") + value;
      held = true;
    } else {
      FAIL("an unknown field: " << line);
    }
  }
  CHECK_FALSE(held);
  return result;
}

model::entry entry_of(payload_form form, std::string payload) {
  model::entry x;
  x.at = {42};
  x.id = {1000, 7};
  x.payload = std::move(payload);
  x.form = form;
  return x;
}

std::vector<event> events_with(payload_form form, std::string payload,
                               remaining rest = remaining::more) {
  std::string out;
  wire::stream_format().add_entry(out, room, now, entry_of(form, std::move(payload)));
  wire::stream_format().add_end(out, 17, rest);
  return events_of(out);
}

nlohmann::json control_with(remaining rest) {
  auto all = events_with(payload_form::json, "1", rest);
  REQUIRE(all.size() == 2);
  CHECK(all[1].type == "control");
  return nlohmann::json::parse(all[1].data);
}

} // namespace

TEST_CASE("an entry is a data event and a control event with the offset behind it") {
  auto all = events_with(payload_form::json, "{\"a\":\r\n1}");
  REQUIRE(all.size() == 2);
  CHECK(all[0].type == "data");
  CHECK(nlohmann::json::parse(all[0].data) == nlohmann::json::parse("[{\"a\":1}]"));
  CHECK(
      control_with(remaining::more) ==
      nlohmann::json{{"streamNextOffset", "0000000000000042_e.1_1000-7"}, {"streamCursor", "17"}});
  CHECK(control_with(remaining::nothing_yet)["upToDate"] == true);
  auto end = control_with(remaining::end);
  CHECK(end["streamClosed"] == true);
  CHECK_FALSE(end.contains("streamCursor"));
}

TEST_CASE("text comes through line by line, whatever it holds") {
  for (const auto* text :
       {"", "a", "a\nb", "\n", "\n\n", " a\n b", "x\n\nevent: control\ndata: {}\n\n"}) {
    auto all = events_with(payload_form::text, text);
    REQUIRE(all.size() == 2);
    CHECK(all[0].data == text);
  }
  // An event stream has one kind of line end.
  for (const auto* text : {"a\r\n\r\nevent: control\r\ndata: {}\r\n\r\nb", "a\r\revent: x\r\rb"}) {
    auto all = events_with(payload_form::text, text);
    REQUIRE(all.size() == 2);
    CHECK(all[0].data.find('\r') == std::string::npos);
    CHECK(all[0].data.starts_with("a\n\nevent: "));
  }
}

TEST_CASE("bytes come through as base64") {
  auto all = events_with(payload_form::bytes, std::string{"\0\r\n\xff", 4});
  REQUIRE(all.size() == 2);
  CHECK(all[0].data == "AA0K/w==");
}

TEST_CASE("a reader at the tail hears so, and the end of a closed stream") {
  std::string out;
  wire::stream_format().add_live(out, room, {now, {3}, {5, 0}});
  wire::stream_format().add_end(out, 9, remaining::nothing_yet);
  wire::stream_format().add_closed(out, room, {now, {3}, {5, 0}});
  wire::stream_format().add_end(out, 9, remaining::end);
  auto all = events_of(out);
  REQUIRE(all.size() == 2);
  CHECK(nlohmann::json::parse(all[0].data)["streamNextOffset"] == "0000000000000003_e.1_5-0");
  CHECK(nlohmann::json::parse(all[1].data)["streamClosed"] == true);
}

TEST_CASE("the payloads of a JSON stream make one array, others follow each other") {
  auto one = entry_of(payload_form::json, "1");
  auto two = entry_of(payload_form::json, "[2]");
  std::string out = "[";
  wire::add_payloads(out, std::array{one, two});
  wire::add_payloads(out, std::array{one});
  CHECK(out == "[1,[2],1");
  out.clear();
  wire::add_payloads(
      out, std::array{entry_of(payload_form::text, "a"), entry_of(payload_form::text, "b")});
  CHECK(out == "ab");
}
