// Refuses headers at the cluster's port that would end this node or take its memory.
//
// CAF 0.17 reads the payload of a handshake that has none, and reserves as much memory as a header
// asks for, whoever sent it. It asks `caf::io::basp::valid` first; the program's own definition is
// found before that of libcaf_io (docs/decisions/0015-guards-around-caf.md).
#pragma once

#include <caf/fwd.hpp>

#include <cstddef>

namespace confab::actors {

/// Of a handshake: a node's id, and the interface of an actor.
inline constexpr std::size_t handshake_bytes_max = 64 * 1024;

/// Whether CAF asks our definition: its broker gets a header that only ours can know.
/// @pre the system has a middleman
[[nodiscard]] bool basp_is_guarded(caf::actor_system& system);

/// Gives connections on which nothing was said yet the deadline of all others,
/// `middleman.connection-timeout` from now on: CAF's own begins with the first header. To be called
/// again and again. @pre the system has a middleman
void limit_silence(caf::actor_system& system);

} // namespace confab::actors
