// Guards around CAF: which headers they let through, and that they are asked.
#include "actors/basp_guard.hpp"
#include "actors/refusal_log.hpp"
#include "actors/tls_guard.hpp"
#include "net/wire/link_frame.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/io/basp/header.hpp>
#include <caf/io/middleman.hpp>
#include <caf/openssl/manager.hpp>

#include <doctest/doctest.h>

using namespace confab;
using caf::io::basp::header;
using caf::io::basp::message_type;

namespace {

bool lets_through(message_type kind, std::uint32_t bytes) {
  auto data = kind == message_type::server_handshake ? 3 : 0;
  auto target = kind == message_type::direct_message || kind == message_type::routed_message;
  auto source = kind == message_type::down_message;
  return caf::io::basp::valid(header{kind, 0, bytes, static_cast<std::uint64_t>(data),
                                     static_cast<caf::actor_id>(source),
                                     static_cast<caf::actor_id>(target)});
}

constexpr std::uint32_t frame_bytes = net::wire::link_frame_bytes_max;

} // namespace

TEST_CASE("a handshake without a payload is refused") {
  for (auto kind : {message_type::server_handshake, message_type::client_handshake}) {
    CHECK(lets_through(kind, 1));
    CHECK(!lets_through(kind, 0));
  }
}

TEST_CASE("a message is no longer than a frame and what stands around it, a handshake shorter") {
  for (auto kind : {message_type::server_handshake, message_type::client_handshake}) {
    CHECK(lets_through(kind, actors::handshake_bytes_max));
    CHECK(!lets_through(kind, actors::handshake_bytes_max + 1));
  }
  for (auto kind : {message_type::direct_message, message_type::routed_message,
                    message_type::monitor_message, message_type::down_message}) {
    CHECK(lets_through(kind, frame_bytes));
    CHECK(!lets_through(kind, 2 * frame_bytes));
    CHECK(!lets_through(kind, 0xffffffff));
  }
}

TEST_CASE("only a heartbeat has no payload") {
  for (int i = 0; i < 256; ++i)
    CHECK(lets_through(static_cast<message_type>(i), 0) ==
          (static_cast<message_type>(i) == message_type::heartbeat));
}

TEST_CASE("libcaf_io and libcaf_openssl ask the guards") {
  caf::actor_system_config config;
  config.load<caf::io::middleman>();
  config.load<caf::openssl::manager>();
  caf::actor_system system{config};
  CHECK(actors::basp_is_guarded(system));
  CHECK(actors::tls_is_guarded(system));
}

TEST_CASE("refusals of one kind are a line a minute, which tells of those left out") {
  actors::refusal_log log;
  actors::refusal_log::time now{};
  CHECK(log.line("a", "one", now) == "one");
  CHECK(log.line("a", "two", now + std::chrono::seconds{59}).empty());
  CHECK(log.line("b", "other", now + std::chrono::seconds{59}) == "other");
  CHECK(log.line("a", "three", now + std::chrono::seconds{60}) == "three (and 1 before it)");
}

TEST_CASE("refusals of too many kinds are not logged") {
  actors::refusal_log log;
  int lines = 0;
  for (int i = 0; i < 1000; ++i)
    lines += log.line(std::to_string(i), "x", {}).empty() ? 0 : 1;
  CHECK(lines == 32);
  CHECK(log.line("0", "x", actors::refusal_log::time{} + std::chrono::minutes{1}) == "x");
}
