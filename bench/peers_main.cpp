// confab_peers: the scenarios of `confab bench` against other servers too, for bench/side_by_side.
#include "bench/run_bench.hpp"
#include "net/load/confab_dialect.hpp"
#include "peers/peers.hpp"

int main(int argc, char** argv) {
  auto peers = confab::peers::all_kinds();
  std::vector<const confab::net::load::server_kind*> kinds{&confab::net::load::confab_server()};
  for (const auto& x : peers)
    kinds.push_back(x.get());
  return confab::bench::run_bench(argc, argv, kinds);
}
