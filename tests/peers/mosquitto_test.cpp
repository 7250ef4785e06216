#include "peers/peers.hpp"

#include "support/dialect_bed.hpp"

using confab::net::load::purpose;
using confab::test::dialect_bed;
using lines = std::vector<std::string>;
using namespace std::string_literals;

namespace {

const auto kinds = confab::peers::mosquitto_kinds();
const auto connack = "\x20\x02\0\0"s;

std::string publish_of(unsigned char head, std::string_view rest) {
  std::string bytes{static_cast<char>(head)};
  if (rest.size() < 128)
    bytes.push_back(static_cast<char>(rest.size()));
  else
    bytes.append(
        {static_cast<char>(rest.size() % 128 | 0x80), static_cast<char>(rest.size() / 128)});
  return bytes.append(rest);
}

} // namespace

TEST_CASE("mosquitto: a reader subscribes and hears entries") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    dialect_bed bed{kinds, "mosquitto", seed};
    bed.connect({.as = purpose::role::reader, .conversation = "a/b", .client = "r1"});
    CHECK(bed.sent() == "\x10\x0e\0\4MQTT\4\2\0\0\0\2r1"s);
    bed.hear(connack);
    CHECK(bed.sent() == "\x82\x08\0\1\0\3a/b\0"s);
    auto longer = '"' + std::string(300, 'x') + '"';
    bed.hear("\x90\3\0\1\0"s + publish_of(0x30, "\0\3a/b\"1\""s) +
             publish_of(0x31, "\0\3a/b"s + longer));
    CHECK(bed.told() ==
          lines{"opened", "following ", "live", "entry a/b 0 \"1\"", "entry a/b 0 " + longer});
    CHECK(bed.sent() == "");
  }
}

TEST_CASE("mosquitto: a reader with QoS 1 acknowledges what it got") {
  dialect_bed bed{kinds, "mosquitto-qos1", 4};
  bed.connect({.as = purpose::role::reader, .conversation = "c"});
  bed.hear(connack);
  CHECK(bed.sent().ends_with("\0\1c\1"s));
  bed.hear("\x90\3\0\1\1"s + publish_of(0x32, "\0\1c\x12\x34\"1\""s));
  CHECK(bed.sent() == "\x40\2\x12\x34"s);
}

TEST_CASE("mosquitto: acknowledgements are receipts in their order") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    dialect_bed bed{kinds, "mosquitto", seed};
    bed.connect({.as = purpose::role::publisher, .client = "p"});
    bed.hear(connack);
    CHECK(bed.told() == lines{"opened"});
    bed.sent();
    bed.dialect->publish(bed.out, "c", 65534, 1, "\"1\"");
    CHECK(bed.sent() == "\x32\x08\0\1c\xff\xff\"1\""s);
    bed.dialect->publish(bed.out, "c", 65535, 2, "\"1\"");
    CHECK(bed.sent() == "\x32\x08\0\1c\0\1\"1\""s);
    bed.hear("\x40\2\xff\xff\x40\2\0\1\x40\2\0\2"s);
    CHECK(bed.told() == lines{"receipt 65534 0", "receipt 65535 0",
                              "ended a PUBACK for another packet than the oldest"});
  }
}

TEST_CASE("mosquitto: what a broker must not send ends the connection") {
  auto hears = [](const std::string& bytes) {
    dialect_bed bed{kinds, "mosquitto", 3};
    bed.connect({.as = purpose::role::reader, .conversation = "c"});
    bed.hear(bytes);
    REQUIRE_FALSE(bed.heard.empty());
    return bed.told().back();
  };
  CHECK(hears("\x20\2\0\5"s) == "ended the connection was refused with code 5");
  CHECK(hears("HTTP/1.1 400 Bad Request and what else it has to say of it all\r\n"s) ==
        "ended the first packet is no CONNACK");
  CHECK(hears("\x20\xff\xff\xff\xff"s) == "ended a packet's length has more than four digits");
  CHECK(hears("\x20\xff\xff\xff\x7f"s) == "ended a packet is longer than 16 MiB");
  CHECK(hears(connack + "\x90\3\0\1\x80"s) ==
        "ended the subscription was refused, or granted with another QoS");
  CHECK(hears(connack + publish_of(0x30, "\1\0c"s)) == "ended a PUBLISH of another shape");
  CHECK(hears(connack + publish_of(0x30, "\1"s)) == "ended a PUBLISH of another shape");
  CHECK(hears(connack + publish_of(0x32, "\0\1c\0\1x"s)) == "ended a PUBLISH of another shape");
  CHECK(hears(connack + "\xd0\0"s) == "ended a packet that was not expected, of type 13");

  confab::test::survive_damage(connack + "\x90\3\0\1\0"s + publish_of(0x30, "\0\1c12345678"s), 1000,
                               [](std::uint64_t seed) {
                                 auto bed = std::make_unique<dialect_bed>(kinds, "mosquitto", seed);
                                 bed->connect({.as = purpose::role::reader, .conversation = "c"});
                                 return bed;
                               });
}
