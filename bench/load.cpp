// confab_load: many clients of one server in one process, which check every entry while they
// measure.
#include "scenarios.hpp"

#include <sys/resource.h>

namespace {

constexpr char usage_text[] = R"(confab_load SCENARIO --port=N [--pid=N] [--json] [options]

  fill     appends --entries (over HTTP, 1,000 a request) of --bytes to --conversation
  fanout   --readers of one conversation, --rate entries/s of --bytes in bursts of --burst
           (--together: a packet each), for --seconds
  idle     --connections, each following one of --conversations; then --seconds of nothing
  publish  --connections publishers with --flight publishes in flight each, for --seconds
  lag      --readers live at --rate; after --seconds one more reader starts at the beginning of --conversation (see fill)
  stall    --readers at --rate; --stalled of them read nothing for --pause seconds, then again
  storm    --readers drop, --entries are published, all resume at once

--pid: the server, whose CPU time and memory are measured. --limit: the server is confab_limit.
An entry that is lost, repeated, reordered or of another conversation ends the run with status 1.
)";

} // namespace

int main(int argc, char** argv) {
  using namespace confab::bench;
  const std::map<std::string_view, void (*)(run&, options&)> scenarios{
      {"fill", fill}, {"fanout", fanout}, {"idle", idle},  {"publish", publish},
      {"lag", lag},   {"stall", stall},   {"storm", storm}};
  auto chosen = argc < 2 ? scenarios.end() : scenarios.find(argv[1]);
  if (chosen == scenarios.end()) {
    std::fputs(usage_text, stderr);
    return 2;
  }
  rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  options from{argc, argv, 2};
  run x{from};
  chosen->second(x, from);
}
