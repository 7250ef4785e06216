// What OpenSSL says of a connection that failed, and that it forgets it.
//
// OpenSSL keeps a queue of errors for each thread, and asks it what an operation on any connection
// of that thread came to: what one connection leaves there ends the next one.
#pragma once

#include <string>

struct ssl_st;

namespace confab::net {

/// Empties the calling thread's queue, as OpenSSL wants it before each operation.
void forget_tls_errors() noexcept;

/// Why the last operation on a connection failed, e.g. "certificate has expired", and empties the
/// calling thread's queue. Empty if it only was closed, or the failure was told already.
[[nodiscard]] std::string take_tls_error(const ssl_st* connection);

} // namespace confab::net
