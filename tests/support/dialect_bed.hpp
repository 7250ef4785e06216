// One dialect under test: bytes in, as a network cuts them, and what it tells, line by line.
#pragma once

#include "net/load/dialect.hpp"
#include "net/load/websocket_client.hpp"
#include "support/pieces.hpp"

#include <doctest/doctest.h>

#include <cctype>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace confab::test {

class dialect_bed : net::load::dialect_events {
public:
  /// Of all kinds, the one of that name.
  dialect_bed(const std::vector<std::shared_ptr<const net::load::server_kind>>& kinds,
              std::string_view name, std::uint64_t seed)
    : random_(seed) {
    for (const auto& x : kinds)
      if (x->about().name == name)
        kind = x;
    REQUIRE(kind);
    dialect = kind->speak();
  }

  void connect(const net::load::purpose& what) {
    out.clear();
    heard.clear();
    dialect->connect(out, what);
  }

  /// @returns what was left over.
  std::string hear(std::string_view bytes) {
    return in_pieces(bytes, random_, [&](std::span<char> in) {
      if (over_)
        return in.size();
      auto used = dialect->take(in, out, *this);
      REQUIRE(used <= in.size());
      return used;
    });
  }

  /// What the dialect wants to send since the last time.
  std::string sent() { return std::exchange(out, {}); }
  /// What was told since the last time.
  std::vector<std::string> told() { return std::exchange(heard, {}); }

  std::shared_ptr<const net::load::server_kind> kind;
  std::unique_ptr<net::load::dialect> dialect;
  std::string out;
  std::vector<std::string> heard;

private:
  void tell(std::string text) {
    REQUIRE_FALSE(over_);
    heard.push_back(std::move(text));
  }
  void server_version(std::string_view text) override { tell("server " + std::string{text}); }
  void opened() override { tell("opened"); }
  void following(const net::load::place& at) override { tell("following " + at.token); }
  void live() override { tell("live"); }
  void entry(std::string_view conversation, std::uint64_t seq, std::string_view payload) override {
    tell("entry " + std::string{conversation} + ' ' + std::to_string(seq) + ' ' +
         std::string{payload});
  }
  void at(std::string_view token) override { tell("at " + std::string{token}); }
  void receipt(std::uint64_t ref, std::uint64_t seq, bool duplicate) override {
    tell("receipt " + std::to_string(ref) + ' ' + std::to_string(seq) +
         (duplicate ? " again" : ""));
  }
  void refused(std::uint64_t ref, std::string_view why, bool retry) override {
    tell("refused " + std::to_string(ref) + (retry ? " (retry) " : " ") + std::string{why});
  }
  void missing(std::uint64_t from, std::uint64_t to, std::string_view why) override {
    tell("missing " + std::to_string(from) + ' ' + std::to_string(to) + ' ' + std::string{why});
  }
  void ended(std::string_view why) override {
    tell("ended " + std::string{why});
    over_ = true;
  }

  std::mt19937_64 random_;
  bool over_ = false;
};

/// A server's frame.
inline std::string frame_of(std::string_view payload, unsigned char opcode = 1) {
  std::string bytes{static_cast<char>(0x80 | opcode)};
  auto n = payload.size();
  if (n < 126)
    bytes.push_back(static_cast<char>(n));
  else
    bytes.append({126, static_cast<char>(n >> 8), static_cast<char>(n)});
  return bytes.append(payload);
}

inline std::string accepted(std::string_view protocol = {}) {
  std::string text =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
      "Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
  if (!protocol.empty())
    text.append("Sec-WebSocket-Protocol: ").append(protocol).append("\r\n");
  return text + "\r\n";
}

/// The payloads of a client's frames behind each other.
inline std::string payloads_of(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    REQUIRE(bytes.size() >= 6);
    auto length = static_cast<std::size_t>(bytes[1] & 0x7f);
    std::size_t head = 6;
    if (length == 126) {
      length = static_cast<std::size_t>(static_cast<unsigned char>(bytes[2])) << 8 |
               static_cast<unsigned char>(bytes[3]);
      head = 8;
    }
    REQUIRE(length < 127 * 516);
    text += bytes.substr(head, length);
    bytes.remove_prefix(head + length);
  }
  return text;
}

/// The good answers of a server, damaged in a few bytes: the dialect must tell something or end,
/// and neither read elsewhere nor hang.
template <class Make>
void survive_damage(std::string_view good, int rounds, Make&& make_connected) {
  for (std::uint64_t seed = 1; seed <= static_cast<std::uint64_t>(rounds); ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    std::string bytes{good};
    for (std::uint64_t i = 0, n = 1 + random() % 5; i < n; ++i)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    auto bed = make_connected(seed);
    bed->hear(bytes);
  }
}

} // namespace confab::test
