#include "net/load/confab_dialect.hpp"

#include "net/load/websocket_client.hpp"
#include "net/wire/formats.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

using namespace confab;
using net::load::dialect;
using net::load::place;
using net::load::purpose;

namespace {

/// What a dialect found, as lines.
struct recorder final : net::load::dialect_events {
  std::vector<std::string> lines;

  void server_version(std::string_view text) override {
    lines.push_back("server " + std::string{text});
  }
  void opened() override { lines.push_back("opened"); }
  void following(const place& at) override {
    lines.push_back("following " + std::to_string(at.seq) + ' ' + at.token);
  }
  void live() override { lines.push_back("live"); }
  void entry(std::string_view conversation, std::uint64_t seq, std::string_view payload) override {
    lines.push_back("entry " + std::string{conversation} + ' ' + std::to_string(seq) + ' ' +
                    std::string{payload});
  }
  void at(std::string_view token) override { last_token = token; }
  void receipt(std::uint64_t ref, std::uint64_t seq, bool duplicate) override {
    lines.push_back("receipt " + std::to_string(ref) + ' ' + std::to_string(seq) +
                    (duplicate ? " again" : ""));
  }
  void refused(std::uint64_t ref, std::string_view why, bool retry) override {
    lines.push_back("refused " + std::to_string(ref) + ' ' + std::string{why} +
                    (retry ? " retry" : ""));
  }
  void missing(std::uint64_t from, std::uint64_t to, std::string_view why) override {
    lines.push_back("missing " + std::to_string(from) + ' ' + std::to_string(to) + ' ' +
                    std::string{why});
  }
  void ended(std::string_view why) override { lines.push_back("ended " + std::string{why}); }

  std::string last_token;
};

struct bed {
  explicit bed(purpose::role as = purpose::role::reader) {
    talk->connect(out, {.as = as, .conversation = "room/1", .after = {}, .client = "p"});
    feed("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
  }
  void feed(std::string bytes) {
    rest += bytes;
    auto used = talk->take(rest, out, heard);
    rest.erase(0, used);
  }
  void frame(std::string_view json) {
    std::string bytes;
    net::wire::add_frame(bytes, json);
    feed(bytes);
  }
  /// What the last frame did.
  std::string after(std::string_view json) {
    heard.lines.clear();
    frame(json);
    std::string all;
    for (const auto& x : heard.lines)
      all += (all.empty() ? "" : "; ") + x;
    return all;
  }

  std::unique_ptr<dialect> talk = net::load::confab_server().speak();
  std::string out;
  std::string rest;
  recorder heard;
};

model::entry entry_at(std::uint64_t seq, std::string payload) {
  return {.at = {seq},
          .id = {1700, seq},
          .time_ms = 1700,
          .sender = "a\"b\\",
          .kind = "message",
          .payload = std::move(payload),
          .producer = "p\"1",
          .producer_seq = seq,
          .message = {},
          .source_id = {}};
}

constexpr std::string_view subscribed =
    R"({"op":"subscribed","conversation":"room/1","epoch":"k3f9.1","first":1,"last":9,"after":7,"unread":2})";

} // namespace

TEST_CASE("a load reader asks for its conversation from where it was") {
  auto talk = net::load::confab_server().speak();
  auto request = [&](std::optional<place> after) {
    std::string out;
    talk->connect(out, {.as = purpose::role::reader,
                        .conversation = "a b/c",
                        .after = std::move(after),
                        .client = "r"});
    return out.substr(0, out.find(" HTTP"));
  };
  CHECK(request({}) == "GET /v1/ws?conversation=a%20b/c&after=now");
  CHECK(request(place{}) == "GET /v1/ws?conversation=a%20b/c&after=0");
  CHECK(request(place{7, "0000000000000007_k_1-2"}) ==
        "GET /v1/ws?conversation=a%20b/c&after=0000000000000007_k_1-2");
}

TEST_CASE("a load reader reads what the server's own encoder writes") {
  bed x;
  auto name = *model::conversation_name::parse("room/1");
  CHECK(x.after(R"({"op":"hello","client":"c","user":"u","heartbeat_ms":1,"server":"confab/1"})") ==
        "server confab/1; opened");
  CHECK(x.after(subscribed) == "following 7 0000000000000007_k3f9.1_0-0");
  std::string bytes;
  net::wire::websocket_format().add_entry(bytes, name, {"k3f9.1"}, entry_at(8, R"({"x":"}"})"));
  auto with_message = entry_at(9, "[1]");
  with_message.message = "m";
  with_message.source_id = "1-1";
  with_message.producer = "~internal";
  net::wire::websocket_format().add_entry(bytes, name, {"k3f9.1"}, with_message);
  net::wire::websocket_format().add_live(bytes, name, {{"k3f9.1"}, {9}, {1700, 9}});
  x.heard.lines.clear();
  x.feed(bytes);
  CHECK(x.heard.lines ==
        std::vector<std::string>{R"(entry room/1 8 {"x":"}"})", "entry room/1 9 [1]", "live"});
  auto position = model::parse_position(x.heard.last_token);
  REQUIRE(position);
  CHECK(*position == model::position{{"k3f9.1"}, {9}, {1700, 9}});
}

TEST_CASE("receipts, refusals and resets reach the load client") {
  bed x{purpose::role::publisher};
  CHECK(
      x.after(
          R"({"op":"published","ref":3,"conversation":"c","seq":8,"id":"1-1","duplicate":false})") ==
      "receipt 3 8");
  CHECK(
      x.after(
          R"({"op":"published","ref":4,"conversation":"c","seq":9,"id":"1-1","duplicate":true})") ==
      "receipt 4 9 again");
  CHECK(x.after(R"({"op":"error","ref":5,"code":"overloaded","message":"m","retry":true})") ==
        "refused 5 overloaded: m retry");
  CHECK(
      x.after(
          R"({"op":"error","ref":5,"code":"producer_gap","message":"m","retry":false,"expected":4})") ==
      "refused 5 producer_gap: m retry");
  CHECK(x.after(R"({"op":"error","ref":5,"code":"closed","message":"m","retry":false})") ==
        "refused 5 closed: m");
  CHECK(
      x.after(
          R"({"op":"reset","conversation":"c","reason":"trimmed","missing":[3,19],"epoch":"k"})") ==
      "missing 3 19 trimmed");
  CHECK(x.after(R"({"op":"reset","conversation":"c","reason":"epoch","epoch":"k"})") ==
        "missing 0 0 epoch");
}

TEST_CASE(
    "a frame of another shape ends the load client's connection, and nothing comes after it") {
  for (
      std::string_view json :
      {R"({"op":"entry","conversation":"c","seq":0,"id":"1-1","time":1,"sender":"s","kind":"k","payload":1})",
       R"({"op":"entry","conversation":"c","seq":-1,"id":"1-1","time":1,"sender":"s","kind":"k","payload":1})",
       R"({"op":"entry","conversation":"c","id":"1-1","seq":1,"time":1,"sender":"s","kind":"k","payload":1})",
       R"({"op":"entry","conversation":"c","seq":99999999999999999999999,"id":"1-1"})",
       R"({"op":"entry","conversation":"c","seq":1,"id":"1-1","time":1,"sender":"s","kind":"k","payload":})",
       R"({"op":"entry","conversation":"c\)", R"({"op":"entry","conversation":")",
       R"({"op":"published","ref":1,"conversation":"c","seq":1,"id":"1-1","duplicate":maybe})",
       R"({"op":"published","ref":1})", R"({"op":"subscribed","conversation":"c"})",
       R"({"op":"subscribed","after":-1,"epoch":"k"})", R"({"op":"error","code":"forbidden"})",
       R"({"op":"goodbye","reason":"draining","reconnect_ms":1830})", R"({"op":7})", "[]", "",
       R"({"op":"unheard"})"}) {
    CAPTURE(json);
    bed x;
    auto seen = x.after(json);
    CHECK(seen.starts_with("ended "));
    CHECK(x.after(subscribed).empty());
    x.talk->connect(x.out,
                    {.as = purpose::role::reader, .conversation = "c", .after = {}, .client = {}});
    CHECK(x.heard.lines.empty());
  }
}

TEST_CASE("wherever the bytes are split, a load reader finds the same") {
  auto name = *model::conversation_name::parse("room/1");
  std::string bytes;
  net::wire::add_frame(bytes, subscribed);
  for (std::uint64_t seq = 8; seq < 40; ++seq)
    net::wire::websocket_format().add_entry(bytes, name, {"k3f9.1"},
                                            entry_at(seq, '"' + std::string(seq * 8, 'x') + '"'));
  bed whole;
  whole.feed(bytes);
  REQUIRE(whole.heard.lines.size() == 33);
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    bed x;
    for (std::size_t at = 0; at < bytes.size();) {
      auto n = std::min<std::size_t>(random() % 300 + 1, bytes.size() - at);
      x.feed(bytes.substr(at, n));
      at += n;
    }
    CHECK(x.heard.lines == whole.heard.lines);
    CHECK(x.heard.last_token == whole.heard.last_token);
    CHECK(x.rest.empty());
  }
}

TEST_CASE("hostile bytes never make a load client read beyond them or go on") {
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    bed x;
    std::string bytes;
    net::wire::add_frame(bytes, subscribed);
    net::wire::websocket_format().add_entry(bytes, *model::conversation_name::parse("room/1"),
                                            {"k"}, entry_at(8, "[1]"));
    for (auto n = random() % 4 + 1; n > 0; --n)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    bytes.resize(random() % (bytes.size() + 1));
    x.feed(bytes);
    std::size_t ends = 0;
    for (const auto& line : x.heard.lines)
      ends += line.starts_with("ended ") ? 1 : 0;
    CHECK(ends <= 1);
    CHECK((ends == 0 || x.heard.lines.back().starts_with("ended ")));
  }
}

TEST_CASE("a publish carries its ref, producer, number and payload") {
  bed x{purpose::role::publisher};
  x.out.clear();
  x.talk->publish(x.out, "room/1", 5, 7, R"("1-7-xx")");
  const std::string json =
      R"({"op":"publish","ref":5,"conversation":"room/1","producer":"p","producer_seq":7,"payload":"1-7-xx"})";
  std::string frame;
  net::load::websocket_client::add(frame, json);
  CHECK(x.out == frame);
}
