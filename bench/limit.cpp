// confab_limit: what the machine allows. A bare epoll loop that sends ready-made WebSocket frames,
// one `send` per socket and entry, with --log after one fdatasync per batch; and, with --append, a
// bare loop of write and fdatasync without any socket.
#include "limit_server.hpp"
#include "measuring.hpp"

#include <unistd.h>

namespace confab::bench {

namespace {

constexpr char usage_text[] =
    R"(confab_limit [--port=0] [--log=DIR] [--seconds=600]    the bare server; `listening on …` when ready
confab_limit --append=DIR [--flight=64] [--bytes=200] [--seconds=3] [--json]   the bare log
)";

/// Closed-loop producers, `flight` of them: whoever has a receipt writes again, and one sync serves
/// all.
void append(const std::string& directory, std::uint64_t flight, std::size_t bytes,
            std::int64_t time, bool json) {
  auto fd = open_limit_log(directory);
  std::int64_t at = 0;
  std::string record;
  add_payload(record, bytes, now_ns());
  std::string batch;
  for (std::uint64_t i = 0; i < flight; ++i)
    batch += record;
  distribution latency;
  auto cpu = cpu_ns_of(getpid());
  auto begin = now_ns();
  auto last = begin;
  std::uint64_t receipts = 0;
  while (last - begin < time * second_ns) {
    write_limit_log(fd, at, batch);
    receipts += flight;
    auto now = now_ns();
    latency.add(now - last);
    last = now;
  }
  auto n = static_cast<double>(receipts);
  report to{"append"};
  to.figure("flight", static_cast<double>(flight));
  to.figure("payload_bytes", static_cast<double>(bytes));
  to.figure("receipts_per_s", n / (static_cast<double>(last - begin) / 1e9));
  to.figure("cpu_us_per_receipt", static_cast<double>(cpu_ns_of(getpid()) - cpu) / 1000 / n);
  to.latency("receipt", latency);
  to.print(json);
  ::close(fd);
}

} // namespace

} // namespace confab::bench

int main(int argc, char** argv) {
  using namespace confab::bench;
  if (argc < 2) {
    std::fputs(usage_text, stderr);
    return 2;
  }
  options from{argc, argv, 1};
  if (auto directory = from.text("append", ""); !directory.empty()) {
    auto flight = static_cast<std::uint64_t>(from.number("flight", 64, 1, 256));
    auto bytes = static_cast<std::size_t>(from.number("bytes", 200, payload_bytes_min, 8192));
    auto time = from.number("seconds", 3, 1, 600);
    auto json = from.number("json", 0, 0, 1) == 1;
    from.check();
    append(directory, flight, bytes, time, json);
    return 0;
  }
  auto port = static_cast<std::uint16_t>(from.number("port", 0, 0, 65535));
  // Nobody's child for ever: a server that was left behind ends by itself.
  auto end = now_ns() + from.number("seconds", 600, 1, 3600) * second_ns;
  auto log = from.text("log", "");
  from.check();
  limit_server x{port, log};
  std::printf("listening on http://127.0.0.1:%u\n", x.port());
  std::fflush(stdout);
  while (now_ns() < end)
    x.turn();
}
