#include "actors/basp_guard.hpp"

#include "actors/refusal_log.hpp"
#include "net/wire/link_frame.hpp"

#include <caf/binary_serializer.hpp>
#include <caf/io/basp/header.hpp>
#include <caf/io/basp_broker.hpp>
#include <caf/io/middleman.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include <spdlog/spdlog.h>

#include <atomic>
#include <random>
#include <thread>

namespace {

using caf::io::basp::header;
using caf::io::basp::message_type;

/// A frame, and what CAF puts around it.
constexpr std::size_t message_bytes_max = confab::net::wire::link_frame_bytes_max + 64 * 1024;

/// What `basp_is_guarded` sends as `operation_data`; 0 while it does not.
std::atomic<std::uint64_t> probe{0};
std::atomic<bool> probe_seen{false};

/// The rules of libcaf_io, except that a handshake has a payload.
bool well_formed(const header& x) {
  const bool payload = x.payload_len != 0;
  const bool source = x.source_actor != 0, target = x.dest_actor != 0;
  const bool data = x.operation_data != 0;
  switch (x.operation) {
  case message_type::server_handshake:
    return data && payload;
  case message_type::client_handshake:
    return !source && !target && payload;
  case message_type::direct_message:
  case message_type::routed_message:
    return target && payload;
  case message_type::monitor_message:
    return payload && !data;
  case message_type::down_message:
    return source && !target && payload && !data;
  case message_type::heartbeat:
    return !source && !target && !payload && !data;
  }
  return false;
}

void log_refusal(const std::string& text) {
  static confab::actors::refusal_log log;
  // One kind: a stranger that says many things gets one line.
  auto line = log.line("header", text, std::chrono::steady_clock::now());
  if (!line.empty())
    spdlog::warn("cluster: somebody who connected sent {}, and was refused", line);
}

/// The one that CAF has made already.
caf::actor broker_of(caf::actor_system& system) {
  return system.middleman().named_broker<caf::io::basp_broker>(caf::atom("BASP"));
}

} // namespace

bool caf::io::basp::valid(const header& x) {
  if (auto expected = probe.load(); expected != 0 && x.operation_data == expected) {
    probe_seen = true;
    return false;
  }
  if (!well_formed(x)) {
    log_refusal("what no node says");
    return false;
  }
  auto bytes_max = is_handshake(x) ? confab::actors::handshake_bytes_max : message_bytes_max;
  if (x.payload_len > bytes_max) {
    log_refusal("the beginning of a message of " + std::to_string(x.payload_len) + " bytes");
    return false;
  }
  return true;
}

namespace confab::actors {

bool basp_is_guarded(caf::actor_system& system) {
  // As long as the start of a node may wait for CAF.
  constexpr int tries = 5'000;
  // A number that nobody else can say, above 0.
  std::random_device random;
  std::uint64_t token = (std::uint64_t{random()} << 32 | random()) | 1;
  // Without an operation of that number CAF's own rule refuses it, too.
  header x{static_cast<message_type>(0xff), 0, 0, token, 0, 0};
  // No socket has this handle; CAF closes nothing when it closes it.
  caf::io::new_data_msg said{caf::io::connection_handle::from_int(-2), {}};
  caf::binary_serializer to{system, said.buf};
  if (to(x))
    return false;
  probe_seen = false;
  probe = token;
  caf::anon_send(broker_of(system), std::move(said));
  for (int i = 0; i < tries && !probe_seen; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  probe = 0;
  return probe_seen;
}

void limit_silence(caf::actor_system& system) {
  // In the broker's thread.
  system.middleman().run_later([holder = broker_of(system)] {
    auto* broker =
        static_cast<caf::io::basp_broker*>(caf::actor_cast<caf::abstract_actor*>(holder));
    if (broker->getf(caf::abstract_actor::is_terminated_flag))
      return;
    for (const auto& connection : broker->connections())
      if (!broker->ctx.contains(connection))
        broker->set_context(connection);
  });
}

} // namespace confab::actors
