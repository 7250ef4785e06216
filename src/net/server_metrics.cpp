#include "net/server_metrics.hpp"

namespace confab::net {

namespace {

template <class CountOf>
std::uint64_t sum(const server_context& x, CountOf count_of) {
  std::uint64_t result = 0;
  for (const auto* each : x.hubs)
    result += count_of(each->counters());
  return result;
}

} // namespace

void measure(const server_context& x, metrics& to) {
  auto all = [&x](model::thread_counter hub_counters::*which) {
    return static_cast<double>(
        sum(x, [which](const hub_counters& y) { return (y.*which).value(); }));
  };
  to.now("confab_ready", "1 while /readyz is 200.", !x.draining && x.backend.ready().ready ? 1 : 0);
  to.now("confab_connections", "Open connections.", static_cast<double>(x.gate.inside()));
  to.rising("confab_connections_refused_total",
            "Connections beyond net.connections or net.connections_per_address.",
            static_cast<double>(x.gate.refused()));
  to.rising("confab_connections_silent_total",
            "Connections cut since the client said or took nothing for net.idle_ms.",
            all(&hub_counters::silent));
  to.now("confab_subscriptions", "Conversations followed, summed over connections.",
         all(&hub_counters::subscriptions));
  to.rising("confab_sent_bytes_total", "Bytes that sockets have taken.",
            all(&hub_counters::sent_bytes));
  to.rising("confab_errors_total", "Errors that clients were told, by code.", "code",
            by_code([&x](model::code code) {
              return sum(x, [code](const hub_counters& y) { return y.errors.value(code); });
            }));
  to.now("confab_cache_bytes", "Memory of rings, pages and encoded frames.",
         static_cast<double>(x.pages.budget().used()));
  to.now("confab_cache_bytes_max", "net.cache_bytes.",
         static_cast<double>(x.pages.budget().most()));
}

} // namespace confab::net
