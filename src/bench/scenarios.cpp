#include "bench/scenario.hpp"

namespace confab::bench {

namespace {

constexpr double clients_max = 60'000;
constexpr double conversations_max = 100'000;
constexpr double rate_max = 10'000'000;
constexpr double seconds_max = 86'400;
/// The compact stamp, and what Confab takes by default.
constexpr double bytes_min = 10;
constexpr double bytes_max = 200'000;

constexpr scenario_parameter seconds{"seconds", 10, 0.1, seconds_max, "s", "measured time"};

constexpr scenario_parameter bytes(double fallback) {
  return {"bytes", fallback, bytes_min, bytes_max, "bytes", "JSON text of a payload"};
}

constexpr scenario_parameter rate(double fallback) {
  return {"rate", fallback, 0.1, rate_max, "/s", "publishes, in all"};
}

constexpr scenario_parameter flight(double fallback) {
  return {"flight", fallback, 1, 4096, "", "unanswered publishes per publisher"};
}

constexpr scenario_parameter burst{"burst", 1, 1, 1000, "", "publishes that are due together"};

const std::vector<scenario> all{
    {"fanout",
     "One conversation, many readers",
     {{"readers", 1000, 1, clients_max, "", "readers of the conversation"},
      rate(50),
      bytes(200),
      burst,
      flight(64),
      seconds},
     fanout},
    {"rooms",
     "Many conversations, few readers each",
     {{"conversations", 1000, 1, conversations_max, "", "conversations"},
      {"readers", 5, 1, 1000, "", "readers of each conversation"},
      {"producers", 4, 1, 4000, "", "publishing connections"},
      rate(500),
      bytes(200),
      burst,
      flight(64),
      seconds},
     rooms},
    {"tokens",
     "Many conversations, one reader each, small chunks",
     {{"conversations", 200, 1, conversations_max, "", "conversations"},
      {"producers", 200, 1, 4000, "", "publishing connections; fewer: they are pipelined"},
      rate(10'000),
      bytes(10),
      burst,
      flight(64),
      seconds},
     tokens},
    {"publish",
     "Durable appends, so many in flight",
     {{"producers", 1, 1, 4000, "", "publishing connections"},
      {"conversations", 1, 1, conversations_max, "", "conversations that they append to in turn"},
      flight(64),
      {"rate", 0, 0, rate_max, "/s", "publishes, in all; 0: as fast as the flight allows"},
      bytes(200),
      {"drop-every", 0, 0, 3'600'000, "ms",
       "mean time after which a producer loses its connection and retries; 0: never"},
      seconds},
     publish},
    {"idle",
     "Connections that do nothing",
     {{"connections", 10'000, 1, clients_max, "", "connections, one subscription each"},
      {"conversations", 1000, 1, conversations_max, "", "conversations that they follow"},
      flight(64),
      {"seconds", 5, 0.1, seconds_max, "s", "time at rest"}},
     idle},
    {"storm",
     "All readers drop, entries are published, all resume at once",
     {{"readers", 2000, 1, clients_max, "", "readers of the conversation"},
      {"entries", 200, 1, 10'000'000, "", "entries published meanwhile"},
      bytes(200),
      flight(64)},
     storm},
    {"lag",
     "Readers far behind beside live ones",
     {{"readers", 100, 1, clients_max, "", "live readers"},
      {"behind", 1, 1, clients_max, "", "readers that begin at the first entry"},
      {"entries", 100'000, 1, 10'000'000, "", "entries that they have missed"},
      rate(50),
      bytes(200),
      flight(64),
      {"seconds", 5, 0.1, seconds_max, "s", "measured time before they come, and after"}},
     lag},
    {"stall",
     "Readers that stop reading for a while",
     {{"readers", 800, 1, clients_max, "", "readers that go on"},
      {"stalled", 200, 1, clients_max, "", "readers that stop"},
      rate(500),
      bytes(1024),
      {"burst", 5, 1, 1000, "", "publishes that are due together"},
      flight(64),
      {"pause", 30, 0.1, seconds_max, "s", "how long they stand still"},
      {"seconds", 5, 0.1, seconds_max, "s", "measured time before"}},
     stall},
    {"churn",
     "Readers that come and go all the time",
     {{"readers", 500, 1, clients_max, "", "readers"},
      {"conversations", 50, 1, conversations_max, "", "conversations that they follow"},
      {"producers", 4, 1, 4000, "", "publishing connections"},
      rate(500),
      bytes(200),
      burst,
      flight(64),
      {"live", 2000, 1, 3'600'000, "ms", "mean time until a reader leaves"},
      {"away", 500, 1, 3'600'000, "ms", "mean time until it comes back"},
      seconds},
     churn},
    {"soak",
     "A mixture of steady, churning and stalling readers, producers that lose connections, and a "
     "server that is killed",
     {{"readers", 300, 3, clients_max, "",
       "readers; a third is steady, a third churns, a third stalls"},
      {"conversations", 30, 1, conversations_max, "", "conversations that they follow"},
      {"producers", 10, 1, 4000, "", "publishing connections"},
      rate(500),
      bytes(200),
      burst,
      flight(64),
      {"live", 3000, 1, 3'600'000, "ms", "mean time until a client leaves"},
      {"away", 500, 1, 3'600'000, "ms", "mean time until it comes back"},
      {"kill-every", 20, 0.5, seconds_max, "s", "mean time between two kills, with --kill"},
      {"seconds", 60, 0.1, seconds_max, "s", "measured time"}},
     soak},
};

} // namespace

std::span<const scenario> scenarios() {
  return all;
}

} // namespace confab::bench
