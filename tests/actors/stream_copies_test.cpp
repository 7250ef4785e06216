// What entries of streams become: valid where they go, whatever they are.
#include "actors/stream_copies.hpp"

#include "model/log_state.hpp"
#include "net/wire/json_object.hpp"
#include "net/wire/utf8.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace confab;
using model::payload_form;

namespace {

model::stream_entry with_payload(std::string payload) {
  return {"5-1", {{"payload", std::move(payload)}}};
}

} // namespace

TEST_CASE("a copy keeps valid JSON as it is, other text as a string, other bytes as base64") {
  auto payload = [](std::string x) {
    return actors::copy_of(with_payload(std::move(x)), payload_form::json).payload;
  };
  CHECK(payload(R"({"b": 1.00, "b":2})") == R"({"b": 1.00, "b":2})");
  CHECK(payload("hello \"you\"") == R"("hello \"you\"")");
  CHECK(payload("{\"a\":") == R"("{\"a\":")");
  CHECK(payload("") == R"("")");
  CHECK(payload(std::string{"\xff\x00\x01", 3}) == R"({"base64":"/wAB"})");
  CHECK(actors::copy_of({"5-1", {{"kind", "note"}}}, payload_form::json).payload == "null");
}

TEST_CASE("a copy into a log of another type keeps the bytes") {
  CHECK(actors::copy_of(with_payload("{\"a\":"), payload_form::text).payload == "{\"a\":");
  CHECK(actors::copy_of(with_payload("\xff"), payload_form::bytes).payload == "\xff");
  CHECK(actors::copy_of({"5-1", {}}, payload_form::text).payload.empty());
}

TEST_CASE("a copy keeps its sender, kind, message and id, unless no client could have sent them") {
  model::stream_entry x{"5-1",
                        {{"payload", "1"},
                         {"sender_id", "ann"},
                         {"kind", "chunk"},
                         {"message", "m1"},
                         {"timestamp", "whenever"}}};
  auto made = actors::copy_of(x, payload_form::json);
  CHECK(made.sender == "ann");
  CHECK(made.kind == "chunk");
  CHECK(made.message == "m1");
  CHECK(made.source_id == "5-1");
  x.fields = {{"payload", "1"},
              {"sender_id", "\xff"},
              {"kind", std::string(65, 'k')},
              {"message", std::string(129, 'm')}};
  made = actors::copy_of(x, payload_form::json);
  CHECK(made.sender.empty());
  CHECK(made.kind == "message");
  CHECK(made.message.empty());
}

TEST_CASE("a payload that no page could hold becomes a gap with the entry's id") {
  auto made = actors::copy_of(with_payload(std::string(model::page_bytes_max + 1, 'x')),
                              payload_form::json);
  CHECK(made.kind == "gap");
  CHECK(made.payload == R"({"missing":1,"reason":"too_large"})");
  CHECK(made.source_id == "5-1");
  // Small enough as it is, and too large as base64.
  made = actors::copy_of(with_payload(std::string(model::page_bytes_max - 1, '\xff')),
                         payload_form::json);
  CHECK(made.kind == "gap");
}

TEST_CASE("whatever bytes an entry has, its copy is one that the log can show") {
  for (unsigned seed = 0; seed < 500; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    auto bytes = [&] {
      std::string text(random() % 40, ' ');
      for (auto& c : text)
        c = static_cast<char>(random() % 4 == 0 ? random() : "{}[]\",:0\\"[random() % 9]);
      return text;
    };
    model::stream_entry x{
        "5-1",
        {{"payload", bytes()}, {"sender_id", bytes()}, {"kind", bytes()}, {"message", bytes()}}};
    auto made = actors::copy_of(x, payload_form::json);
    CHECK(net::wire::valid_json(made.payload));
    for (const auto* text : {&made.sender, &made.kind, &made.message})
      CHECK(net::wire::valid_utf8(*text));
    CHECK_FALSE(made.kind.empty());
  }
}

TEST_CASE("an entry that was too large to be fetched becomes a gap with its id") {
  auto made = actors::copy_of({"5-1", {{"too_large", "3000000"}}}, payload_form::json);
  CHECK(made.kind == "gap");
  CHECK(made.source_id == "5-1");
}
