#include "net/load/websocket_client.hpp"

#include "support/pieces.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using confab::net::load::websocket_client;
using what = websocket_client::step::what;

namespace {

const std::string accepted =
    "HTTP/1.1 101 Switching Protocols\r\nServer: any\r\nupgrade: WebSocket\r\n"
    "SEC-WEBSOCKET-ACCEPT:s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \r\nConnection: Upgrade\r\n\r\n";

std::string server_frame(unsigned head, std::string_view payload) {
  std::string bytes{static_cast<char>(head)};
  auto n = payload.size();
  int extra = n < 126 ? 0 : n < 65536 ? 2 : 8;
  bytes.push_back(static_cast<char>(extra == 0 ? n : extra == 2 ? 126 : 127));
  for (int i = extra; i-- > 0;)
    bytes.push_back(static_cast<char>(std::uint64_t{n} >> (8 * i)));
  return bytes.append(payload);
}

struct heard {
  std::vector<std::string> messages;
  bool opened = false;
  std::string why;
  std::string out;
};

/// Feeds `bytes` to a fresh connection in random pieces.
heard hear(std::string_view bytes, std::uint64_t seed, std::string_view protocol = {}) {
  heard x;
  std::mt19937_64 random{seed};
  websocket_client client;
  client.connect(x.out, "/v1/ws?a=b", protocol);
  x.out.clear();
  confab::test::in_pieces(bytes, random, [&](std::span<char> in) {
    for (std::size_t used = 0;;) {
      auto step = client.next(in.subspan(used), x.out);
      used += step.used;
      REQUIRE(used <= in.size());
      if (step.is == what::more)
        return used;
      if (step.is == what::opened)
        x.opened = true;
      if (step.is == what::message)
        x.messages.emplace_back(step.view());
      if (step.is == what::ended) {
        if (x.why.empty())
          x.why = step.view();
        return in.size();
      }
    }
  });
  return x;
}

} // namespace

TEST_CASE("the handshake asks for a WebSocket and takes only the answer to it") {
  websocket_client client;
  std::string out;
  client.connect(out, "/v1/ws?x=1", "ws+meta.nchan");
  CHECK(out.starts_with("GET /v1/ws?x=1 HTTP/1.1\r\nHost: "));
  CHECK(out.find("\r\nSec-WebSocket-Version: 13\r\n") != out.npos);
  CHECK(out.find("\r\nSec-WebSocket-Protocol: ws+meta.nchan\r\n") != out.npos);
  CHECK(out.ends_with("\r\n\r\n"));

  CHECK(hear(accepted, 1).opened);
  CHECK(hear("HTTP/1.1 503 Busy\x1b[2J\r\nRetry-After: 1\r\n\r\n", 1).why ==
        "the handshake was refused: HTTP/1.1 503 Busy?[2J");
  CHECK(hear("HTTP/1.1 101 Switching\r\nSec-WebSocket-Accept: other\r\n\r\n", 1).why ==
        "the answer to the handshake is not this handshake's");
  CHECK(hear(accepted, 1, "ws+meta.nchan").why == "the server does not speak ws+meta.nchan");
  CHECK(hear(std::string(20'000, 'x'), 1).why == "the answer to the handshake is too long");
  CHECK_FALSE(hear(accepted.substr(0, accepted.size() - 1), 1).opened);
}

TEST_CASE("messages of every length come whole and in order, however the bytes are cut") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    std::string bytes = accepted;
    std::vector<std::string> sent;
    for (int i = 0; i < 12; ++i) {
      constexpr std::size_t lengths[] = {0, 1, 125, 126, 127, 1000, 65535, 65536, 70000};
      std::string text(lengths[random() % std::size(lengths)], static_cast<char>('a' + i));
      std::size_t parts = random() % 3;
      for (std::size_t at = 0, part = 0; part <= parts; ++part) {
        auto n = part == parts ? text.size() - at : random() % (text.size() - at + 1);
        bytes += server_frame((part == parts ? 0x80u : 0u) | (part == 0 ? 1u + random() % 2 : 0u),
                              std::string_view{text}.substr(at, n));
        at += n;
        if (random() % 4 == 0)
          bytes += server_frame(0x8a, "unasked");
      }
      sent.push_back(std::move(text));
    }
    auto x = hear(bytes, seed);
    CHECK(x.why == "");
    CHECK(x.messages == sent);
  }
}

TEST_CASE("a ping is answered with its payload, a close with its code and told") {
  auto x = hear(accepted + server_frame(0x89, "abc") + server_frame(0x88, "\x03\xf4slow\n"), 7);
  std::string out;
  websocket_client::add(out, "abc", websocket_client::opcode::pong);
  websocket_client::add(out, "\x03\xf4", websocket_client::opcode::close);
  CHECK(x.out == out);
  CHECK(x.why == "the server closed the connection with 1012 slow?");
}

TEST_CASE("what a server must not send ends the connection") {
  auto why = [](std::string_view bytes) { return hear(accepted + std::string{bytes}, 3).why; };
  CHECK(why(server_frame(0xc1, "x")) == "a frame uses an extension that was not agreed on");
  CHECK(why(std::string_view{"\x81\x81\0\0\0\0x", 7}) ==
        "a frame is masked, which a server must not do");
  CHECK(why(server_frame(0x09, "x")) == "a control frame is fragmented or too long");
  CHECK(why(server_frame(0x89, std::string(126, 'x'))) ==
        "a control frame is fragmented or too long");
  CHECK(why(server_frame(0x8b, "x")) == "a control frame of an unknown kind");
  CHECK(why(server_frame(0x83, "x")) == "a frame of an unknown kind, or a fragment out of place");
  CHECK(why(server_frame(0x80, "x")) == "a frame of an unknown kind, or a fragment out of place");
  CHECK(why(server_frame(0x01, "x") + server_frame(0x81, "x")) ==
        "a frame of an unknown kind, or a fragment out of place");
  CHECK(why(std::string_view{"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 10}) ==
        "a frame is longer than 16 MiB");
}

TEST_CASE("damaged bytes lead to messages or an end, never to more bytes than came") {
  std::string bytes = accepted;
  for (int i = 0; i < 20; ++i)
    bytes += server_frame(0x81, std::string(static_cast<std::size_t>(i) * 40, 'x'));
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    auto damaged = bytes;
    for (std::uint64_t i = 0; i <= random() % 4; ++i)
      damaged[random() % damaged.size()] = static_cast<char>(random());
    hear(damaged, seed);
  }
}

TEST_CASE("a frame written in place equals one written at once") {
  for (std::size_t n : {0u, 1u, 125u, 126u, 65535u, 65536u, 100'000u}) {
    CAPTURE(n);
    std::string text(n, 'q'), whole = "before", in_place = "before";
    websocket_client::add(whole, text);
    auto at = websocket_client::begin(in_place);
    in_place += text;
    websocket_client::end(in_place, at);
    CHECK(in_place == whole);
  }
}
