#include "actors/tls_guard.hpp"

#include "actors/refusal_log.hpp"
#include "net/tls_errors.hpp"

#include <caf/openssl/session.hpp>

#include <spdlog/spdlog.h>

#include <atomic>

namespace {

using caf::io::network::rw_state;

std::atomic<unsigned> asked{0};

struct own_refusal {
  std::mutex mutex;
  std::chrono::steady_clock::time_point at;
  std::string why;
};

own_refusal& newest() {
  static own_refusal x;
  return x;
}

/// Once for each failure: the second time nothing is left of it.
void tell_refusal(const SSL* connection) {
  auto why = confab::net::take_tls_error(connection);
  if (why.empty())
    return;
  auto now = std::chrono::steady_clock::now();
  if (SSL_is_server(connection) == 0) {
    std::lock_guard guard{newest().mutex};
    newest().at = now;
    newest().why = why;
  }
  static confab::actors::refusal_log log;
  auto line = log.line(why, why, now);
  if (!line.empty())
    spdlog::warn("cluster: a TLS connection was refused: {}", line);
}

} // namespace

// What CAF's own does, and the rest. It is also called for the first step of a handshake.
bool caf::openssl::session::handle_ssl_result(int result) {
  ++asked;
  auto error = SSL_get_error(ssl_, result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
    return true;
  tell_refusal(ssl_);
  return false;
}

rw_state caf::openssl::session::read_some(size_t& result, native_socket, void* bytes, size_t size) {
  confab::net::forget_tls_errors();
  auto state = do_some(SSL_read, result, bytes, size, "read_some");
  if (state == rw_state::failure)
    tell_refusal(ssl_);
  return state;
}

rw_state caf::openssl::session::write_some(size_t& result, native_socket, const void* bytes,
                                           size_t size) {
  confab::net::forget_tls_errors();
  auto write = [](SSL* to, void* from, int count) { return SSL_write(to, from, count); };
  // The name matters: CAF compares it.
  auto state = do_some(write, result, const_cast<void*>(bytes), size, "write_some");
  if (state == rw_state::failure)
    tell_refusal(ssl_);
  return state;
}

namespace confab::actors {

bool tls_is_guarded(caf::actor_system& system) {
  constexpr caf::io::network::native_socket nobody = -1;
  auto before = asked.load();
  caf::openssl::session x{system};
  // Fails at once, and libcaf_openssl asks what that means. It binds all its calls in the same way.
  return x.init() && !x.try_accept(nobody) && asked != before;
}

std::string newest_tls_refusal(std::chrono::steady_clock::time_point since) {
  std::lock_guard guard{newest().mutex};
  return newest().at >= since ? newest().why : std::string{};
}

} // namespace confab::actors
