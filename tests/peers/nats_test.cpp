#include "peers/nats_protocol.hpp"
#include "peers/peers.hpp"

#include "support/dialect_bed.hpp"

using confab::net::load::place;
using confab::net::load::purpose;
using confab::test::accepted;
using confab::test::dialect_bed;
using confab::test::frame_of;
using confab::test::payloads_of;
using lines = std::vector<std::string>;

namespace {

const auto kinds = confab::peers::nats_kinds();
const std::string greeting = "INFO {\"server_id\":\"x\"}\r\n";

/// The stream's bytes in binary frames that are cut anywhere.
std::string framed(std::string_view bytes, std::uint64_t seed) {
  std::mt19937_64 random{seed};
  std::string frames;
  while (!bytes.empty()) {
    auto n = std::min<std::size_t>(bytes.size(), 1 + random() % 60);
    frames += frame_of(bytes.substr(0, n), 2);
    bytes.remove_prefix(n);
  }
  return frames;
}

std::string msg(std::string_view subject, std::string_view sid_and_reply, std::string_view text) {
  return "MSG " + std::string{subject} + ' ' + std::string{sid_and_reply} + ' ' +
         std::to_string(text.size()) + "\r\n" + std::string{text} + "\r\n";
}

std::string hmsg(std::string_view head, std::string_view headers, std::string_view text = "") {
  return "HMSG " + std::string{head} + ' ' + std::to_string(headers.size()) + ' ' +
         std::to_string(headers.size() + text.size()) + "\r\n" + std::string{headers} +
         std::string{text} + "\r\n";
}

std::string delivered(int sid, int stream_seq, int consumer_seq, int pending,
                      std::string_view text) {
  return msg("load.a/b%2Ec",
             std::to_string(sid) + " $JS.ACK.load.X.1." + std::to_string(stream_seq) + '.' +
                 std::to_string(consumer_seq) + ".1700000000." + std::to_string(pending),
             text);
}

const purpose reader{.as = purpose::role::reader, .conversation = "a/b.c", .client = "r 1"};

} // namespace

TEST_CASE("NATS: a core reader hears its subject once the server has taken the subscription") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    dialect_bed bed{kinds, "nats-core", seed};
    bed.connect(reader);
    bed.sent();
    bed.hear(accepted() + framed(greeting, seed));
    auto sent = payloads_of(bed.sent());
    CHECK(sent.starts_with("CONNECT {"));
    CHECK(sent.ends_with("\r\nSUB load.a/b%2Ec 1\r\nPING\r\n"));
    CHECK(bed.told().empty());
    bed.hear(framed("PONG\r\n" + msg("load.a/b%2Ec", "1", "\"a\r\nb\"") + "PING\r\n", seed));
    CHECK(bed.told() == lines{"opened", "following ", "live", "entry a/b.c 0 \"a\r\nb\""});
    CHECK(payloads_of(bed.sent()) == "PONG\r\n");
    bed.hear(framed("-ERR 'Slow Consumer'\r\n", seed));
    CHECK(bed.told() == lines{"ended the server says 'Slow Consumer'"});
  }
}

TEST_CASE("NATS: a JetStream reader resumes behind its stream seq and is live behind the replay") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    dialect_bed bed{kinds, "nats", seed};
    auto what = reader;
    what.after = place{0, "41"};
    bed.connect(what);
    bed.sent();
    bed.hear(accepted() + framed(greeting + "PONG\r\n", seed));
    CHECK(payloads_of(bed.sent()).find(R"("opt_start_seq":42)") != std::string::npos);
    CHECK(bed.told() == lines{"opened"});
    bed.hear(framed(msg("_INBOX.cr%201.consumer", "1", R"({"name":"X","num_pending":2})"), seed));
    CHECK(bed.told() == lines{"following 41"});
    bed.hear(framed(delivered(2, 44, 1, 1, "1") + delivered(2, 47, 2, 0, "2"), seed));
    CHECK(bed.told() == lines{"entry a/b.c 0 1", "at 44", "entry a/b.c 0 2", "at 47", "live"});
  }
}

TEST_CASE("NATS: an ordered consumer that skips is made anew behind the last entry") {
  dialect_bed bed{kinds, "nats", 1};
  bed.connect(reader);
  bed.sent();
  bed.hear(accepted() + framed(greeting + "PONG\r\n", 1));
  auto sent = payloads_of(bed.sent());
  CHECK(sent.find("SUB _INBOX.cr%201.* 1\r\nPING\r\nSUB _INBOX.cr%201.entries.1 2\r\n"
                  "PUB $JS.API.CONSUMER.CREATE.load _INBOX.cr%201.consumer ") != sent.npos);
  CHECK(sent.find(R"("deliver_policy":"new")") != sent.npos);
  bed.hear(
      framed(msg("i", "1", R"({"name":"X","num_pending":0,"delivered":{"stream_seq":7}})"), 1));
  CHECK(bed.told() == lines{"opened", "following 7", "live"});
  bed.hear(framed(delivered(2, 9, 1, 0, "1") + delivered(2, 12, 3, 0, "3"), 1));
  CHECK(bed.told() == lines{"entry a/b.c 0 1", "at 9"});
  sent = payloads_of(bed.sent());
  CHECK(sent.starts_with("UNSUB 2\r\nSUB _INBOX.cr%201.entries.2 3\r\n"));
  CHECK(sent.find(R"("deliver_policy":"by_start_sequence")") != sent.npos);
  CHECK(sent.find(R"("opt_start_seq":10)") != sent.npos);
  bed.hear(framed(delivered(2, 13, 4, 0, "late") + delivered(3, 10, 1, 0, "2"), 1));
  CHECK(bed.told() == lines{"entry a/b.c 0 2", "at 10"});
}

TEST_CASE("NATS: flow control and stalled heartbeats are answered") {
  dialect_bed bed{kinds, "nats", 1};
  bed.connect(reader);
  bed.hear(accepted() + framed(greeting + "PONG\r\n", 1));
  bed.sent();
  bed.hear(
      framed(hmsg("i.entries.1 2 $JS.FC.load.X.1", "NATS/1.0 100 FlowControl Request\r\n\r\n") +
                 hmsg("i.entries.1 2", "NATS/1.0 100 Idle Heartbeat\r\n"
                                       "Nats-Consumer-Stalled: $JS.FC.load.X.2\r\n\r\n") +
                 hmsg("i.entries.1 2", "NATS/1.0 100 Idle Heartbeat\r\n\r\n"),
             1));
  CHECK(payloads_of(bed.sent()) == "PUB $JS.FC.load.X.1 0\r\n\r\nPUB $JS.FC.load.X.2 0\r\n\r\n");
  CHECK(bed.told() == lines{"opened"});
}

TEST_CASE("NATS: JetStream's answers are receipts by their subject, duplicates said") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    dialect_bed bed{kinds, "nats", seed};
    bed.connect({.as = purpose::role::publisher, .client = "p"});
    bed.hear(accepted() + framed(greeting + "PONG\r\n", seed));
    CHECK(bed.told() == lines{"opened"});
    bed.sent();
    bed.dialect->publish(bed.out, "c", 5, 3, "\"x\"");
    CHECK(payloads_of(bed.sent()) == "HPUB load.c _INBOX.cp.5 32 35\r\nNATS/1.0\r\n"
                                     "Nats-Msg-Id: p/c/3\r\n\r\n\"x\"\r\n");
    bed.hear(framed(msg("_INBOX.cp.5", "1", R"({"stream":"load","seq":7})") +
                        msg("_INBOX.cp.6", "1", R"({"stream":"load","seq":7,"duplicate":true})") +
                        hmsg("_INBOX.cp.7 1", "NATS/1.0 503\r\n\r\n") +
                        msg("_INBOX.cp.8", "1", R"({"error":{"code":500}})") +
                        msg("_INBOX.cp.x", "1", "{}"),
                    seed));
    CHECK(bed.told() ==
          lines{"receipt 5 0", "receipt 6 0 again", "refused 7 (retry) no stream takes the subject",
                R"(refused 8 {"error":{"code":500}})", "ended an answer to nothing: _INBOX.cp.x"});
  }
}

TEST_CASE("NATS: what is not the protocol ends the connection") {
  auto hears = [](const std::string& bytes) {
    dialect_bed bed{kinds, "nats", 3};
    bed.connect(reader);
    bed.hear(accepted() + framed(greeting + "PONG\r\n" + bytes, 3));
    return bed.told().back();
  };
  CHECK(hears("HELLO\r\n") == "ended not the NATS protocol: HELLO");
  CHECK(hears("MSG a\r\n") == "ended not a message: a");
  CHECK(hears("MSG a 1 99999999999\r\n") ==
        "ended a message has no usable length: a 1 99999999999");
  CHECK(hears("HMSG a 1 5 2\r\nxxxxx\r\n") == "ended a message has no usable length: a 1 5 2");
  CHECK(hears("MSG a 1 1\r\nxyz\r\n") == "ended a message is longer than it says: a 1 1");
  CHECK(hears(msg("load.c", "2 $JS.ACK.load", "1")) ==
        "ended an entry without its place: $JS.ACK.load");
  CHECK(hears(msg("i", "1", "not JSON")) == "ended no consumer: not JSON");
  CHECK(hears(std::string(70'000, 'x')) == "ended a line is too long");

  auto good = greeting + "PONG\r\n" + msg("i", "1", R"({"name":"X","num_pending":2})") +
              delivered(2, 44, 1, 1, "1") + delivered(2, 47, 2, 0, "2");
  confab::test::survive_damage(good, 1000, [](std::uint64_t seed) {
    auto bed = std::make_unique<dialect_bed>(kinds, "nats", seed);
    bed->connect(reader);
    bed->hear(accepted());
    return bed;
  });
  // The same behind an undamaged frame, so that the inner protocol is what is damaged.
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    auto damaged = good;
    damaged[random() % damaged.size()] = static_cast<char>(random());
    dialect_bed bed{kinds, "nats", seed};
    bed.connect(reader);
    bed.hear(accepted() + framed(damaged, seed));
  }
}
