// Keeps a TLS connection that fails from ending others, and says why it failed.
//
// CAF 0.17 leaves OpenSSL's errors in the thread's queue, where the next operation of a healthy
// link finds them and ends it, and tells nobody what they were. The program's own definitions of
// members of `caf::openssl::session` are found before those of libcaf_openssl
// (docs/decisions/0015-guards-around-caf.md).
#pragma once

#include <caf/fwd.hpp>

#include <chrono>
#include <string>

namespace confab::actors {

/// Whether CAF calls our definitions. @pre the system has an OpenSSL manager
[[nodiscard]] bool tls_is_guarded(caf::actor_system& system);

/// Why a connection that this process began failed, if one did since then: the newest reason.
[[nodiscard]] std::string newest_tls_refusal(std::chrono::steady_clock::time_point since);

} // namespace confab::actors
