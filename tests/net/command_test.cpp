#include "net/wire/command.hpp"

#include <doctest/doctest.h>

using namespace confab;
using namespace confab::net;
using model::code;

namespace {

const client_identity alice{"alice", "phone"};
const wire::limits bounds{.payload_bytes = 20};

wire::frame parsed(std::string_view text) {
  return wire::parse_frame(text, alice, bounds);
}

template <class T>
T as(std::string_view text) {
  auto x = parsed(text);
  REQUIRE(std::holds_alternative<T>(x));
  return std::get<T>(std::move(x));
}

/// Expects a refusal with this code, whose text begins with the field.
wire::refusal refused(std::string_view text, code what, std::string_view field) {
  CAPTURE(text);
  auto x = as<wire::refusal>(text);
  CAPTURE(x.why.detail);
  CHECK(x.why.what == what);
  CHECK(x.why.detail.starts_with(field));
  return x;
}

std::string with(std::string_view op, std::string_view members) {
  return R"({"op":")" + std::string{op} + R"(","ref":7,"conversation":"room",)" +
         std::string{members} + '}';
}

model::result<model::batch> drafts(std::string_view body, bool array) {
  bool got = !array;
  auto x = wire::parse_drafts(body, alice, bounds, got);
  if (x)
    CHECK(got == array);
  return x;
}

void drafts_refused(std::string_view body, code what, std::string_view begin) {
  CAPTURE(body);
  bool array = false;
  auto x = wire::parse_drafts(body, alice, bounds, array);
  REQUIRE_FALSE(x);
  CAPTURE(x.why().detail);
  CHECK(x.why().what == what);
  CHECK(x.why().detail.starts_with(begin));
}

} // namespace

TEST_CASE("each operation becomes its command, and unknown fields are ignored") {
  CHECK(as<wire::ping>(R"({"op":"ping","ref":"a\nb","x":{}})").ref == R"("a\nb")");
  auto s =
      as<subscribe_command>(with("subscribe", R"("after":41,"epoch":"k3f9","id":"9-1","x":1)"));
  CHECK(s.ref == "7");
  CHECK(s.name.text() == "room");
  REQUIRE(s.from);
  CHECK(s.from->from.at == model::seq{41});
  CHECK(s.from->epoch == model::epoch{"k3f9"});
  CHECK(s.from->id == model::entry_id{9, 1});
  CHECK(as<unsubscribe_command>(with("unsubscribe", R"("x":1)")).name.text() == "room");
  CHECK(as<wire::ack>(with("ack", R"("seq":57)")).at == model::seq{57});
}

TEST_CASE("a subscribe without after leaves the choice to the server, and null is none") {
  CHECK_FALSE(as<subscribe_command>(R"({"op":"subscribe","conversation":"a"})").from);
  CHECK_FALSE(as<subscribe_command>(with("subscribe", R"("after":null)")).from);
  auto x = as<subscribe_command>(with("subscribe", R"("after":"last:5","epoch":"","id":null)"));
  REQUIRE(x.from);
  CHECK(x.from->from.count == 5);
  CHECK_FALSE(x.from->epoch);
}

TEST_CASE("a publish keeps its payload as it was written, and the sender is who is connected") {
  auto x = as<publish_command>(
      with("publish", R"("payload": {"b":1.0,"b" : 2} ,"kind":"k","message":"m","sender":"eve",)"
                      R"("producer":"p","producer_seq":7,"producer_epoch":2)"));
  REQUIRE(x.drafts->drafts.size() == 1);
  const auto& d = x.drafts->drafts[0];
  CHECK(d.payload == R"({"b":1.0,"b" : 2})");
  CHECK(d.kind == "k");
  CHECK(d.message == "m");
  CHECK(d.sender == "alice");
  CHECK(x.drafts->producer == "p");
  CHECK(x.drafts->producer_seq == 7);
  CHECK(x.drafts->producer_epoch == 2);
  auto bare = as<publish_command>(with("publish", R"("payload":null)"));
  CHECK(bare.drafts->drafts[0].payload == "null");
  CHECK(bare.drafts->drafts[0].kind == "message");
  CHECK(bare.drafts->producer.empty());
}

TEST_CASE("a frame that is no object, or names no known operation, is refused") {
  for (const char* text : {"", "[]", "1", "{", "\"ping\"", "{\"op\":\"ping\"}x"})
    refused(text, code::bad_request, "frame");
  refused("{}", code::bad_request, "op: is missing");
  refused(R"({"op":null})", code::bad_request, "op");
  refused(R"({"op":5})", code::bad_request, "op");
  refused(R"({"op":")" + std::string(65, 'x') + "\"}", code::bad_request, "op");
  refused(R"({"op":"jump"})", code::unknown_op, "op");
  refused(R"({"op":"PING"})", code::unknown_op, "op");
}

TEST_CASE("a refusal repeats the ref and, once it is known, the conversation") {
  auto x = refused(with("ack", R"("seq":"1")"), code::bad_request, "seq");
  CHECK(x.ref == "7");
  REQUIRE(x.name);
  CHECK(x.name->text() == "room");
  CHECK(refused(R"({"op":"jump","ref":{"a":1}})", code::unknown_op, "op").ref == R"({"a":1})");
  auto none =
      refused(R"({"op":"ack","ref":1,"conversation":"a b"})", code::bad_name, "conversation");
  CHECK(none.ref == "1");
  CHECK_FALSE(none.name);
}

TEST_CASE("a ref of more than 256 bytes is refused and not repeated") {
  auto text = [](std::size_t n) { return R"({"op":"ping","ref":")" + std::string(n, 'x') + "\"}"; };
  CHECK(as<wire::ping>(text(254)).ref.size() == 256);
  CHECK(refused(text(255), code::bad_request, "ref: has 257 bytes").ref.empty());
}

TEST_CASE("every field of the wrong kind or size is refused by its name") {
  const std::string long_text = '"' + std::string(129, 'x') + '"';
  for (const char* op : {"subscribe", "unsubscribe", "publish", "ack"}) {
    auto text = R"({"op":")" + std::string{op} + '"';
    refused(text + '}', code::bad_request, "conversation: is missing");
    refused(text + R"(,"conversation":1})", code::bad_request, "conversation: must be a string");
    refused(text + R"(,"conversation":""})", code::bad_name, "conversation");
    refused(text + R"(,"conversation":")" + std::string(257, 'a') + "\"}", code::bad_name,
            "conversation");
  }
  for (const char* value :
       {"true", "[]", "{}", "-1", "1.5", "9007199254740992", "\"soon\"", "\"\""})
    refused(with("subscribe", R"("after":)" + std::string{value}), code::bad_after, "after");
  for (const std::string& value : {std::string{"1"}, std::string{"[]"}, std::string{"\"A\""},
                                   '"' + std::string(33, 'a') + '"', long_text})
    refused(with("subscribe", R"("after":1,"epoch":)" + value), code::bad_request, "epoch");
  for (const std::string& value :
       {std::string{"1"}, std::string{"{}"}, std::string{"\"\""}, std::string{"\"1\""}, long_text})
    refused(with("subscribe", R"("after":1,"id":)" + value), code::bad_request, "id");
  for (const char* value : {"null", "\"1\"", "-1", "1.5", "9007199254740992", "true", "[]"})
    refused(with("ack", R"("seq":)" + std::string{value}), code::bad_request, "seq");
  refused(with("ack", R"("x":1)"), code::bad_request, "seq: is missing");

  auto publish = [](const std::string& more) { return with("publish", R"("payload":1,)" + more); };
  refused(with("publish", R"("x":1)"), code::bad_request, "payload: is missing");
  for (const std::string& value :
       {std::string{"1"}, std::string{"[]"}, std::string{"\"\""}, '"' + std::string(65, 'x') + '"'})
    refused(publish(R"("kind":)" + value), code::bad_request, "kind");
  for (const std::string& value : {std::string{"1"}, std::string{"{}"}, long_text})
    refused(publish(R"("message":)" + value), code::bad_request, "message");
  for (const std::string& value : {std::string{"1"}, std::string{"\"\""}, std::string{"\"~p\""},
                                   std::string{"\"=p\""}, long_text})
    refused(publish(R"("producer_seq":1,"producer":)" + value), code::bad_producer, "producer:");
  for (const char* value : {"\"1\"", "-1", "1.5", "9007199254740992", "null"})
    refused(publish(R"("producer":"p","producer_seq":)" + std::string{value}), code::bad_producer,
            "producer_seq");
  for (const char* value : {"\"1\"", "-1", "4294967296"})
    refused(publish(R"("producer":"p","producer_seq":1,"producer_epoch":)" + std::string{value}),
            code::bad_producer, "producer_epoch");
  refused(publish(R"("producer":"p")"), code::bad_producer, "producer_seq: is missing");
  refused(publish(R"("producer_seq":1)"), code::bad_producer, "producer: is missing");
  refused(publish(R"("producer_epoch":1)"), code::bad_producer, "producer: is missing");
}

TEST_CASE("a payload is measured in bytes of its JSON") {
  auto text = [](std::size_t n) { return R"("payload":")" + std::string(n, 'x') + '"'; };
  as<publish_command>(with("publish", text(18)));
  refused(with("publish", text(19)), code::payload_too_large, "payload: has 21 bytes");
}

TEST_CASE("a body is one draft or an array of them, under one number") {
  auto one = drafts(R"({"payload":1})", false);
  REQUIRE(one);
  CHECK(one->drafts.size() == 1);
  auto two = drafts(R"( [{"payload":1,"producer":"p","producer_seq":3} , {"payload":2}] )", true);
  REQUIRE(two);
  CHECK(two->drafts.size() == 2);
  CHECK(two->drafts[1].payload == "2");
  CHECK(two->producer == "p");
  CHECK(two->producer_seq == 3);
}

TEST_CASE("a refused body says which draft is wrong") {
  drafts_refused("", code::bad_request, "body");
  drafts_refused("nope", code::bad_request, "body");
  drafts_refused("7", code::bad_request, "body");
  drafts_refused("{}", code::bad_request, "payload: is missing");
  drafts_refused("[]", code::batch_too_large, "body");
  drafts_refused(R"([{"payload":1},7])", code::bad_request, "draft 2");
  drafts_refused(R"([{"payload":1},{}])", code::bad_request, "draft 2: payload");
  drafts_refused(R"([{"payload":1},{"payload":2,"producer_seq":4}])", code::bad_producer,
                 "draft 2");
  drafts_refused(R"({"payload":1,"producer":"~p","producer_seq":4})", code::bad_producer,
                 "producer");
}

TEST_CASE("a batch has at most 1000 drafts") {
  auto body = [](std::size_t n) {
    std::string text = "[";
    for (std::size_t i = 0; i < n; ++i)
      text += i > 0 ? R"(,{"payload":1})" : R"({"payload":1})";
    return text + ']';
  };
  CHECK(drafts(body(1000), true));
  drafts_refused(body(1001), code::batch_too_large, "body: an array of 1001 drafts");
}
