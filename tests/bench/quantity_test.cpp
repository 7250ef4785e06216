#include "bench/quantity.hpp"
#include "bench/svg_chart.hpp"

#include <doctest/doctest.h>

#include <limits>

using namespace confab::bench;

TEST_CASE("a quantity has three digits, in the unit that needs no zeros") {
  CHECK(readable(12'345, "ns") == "12.3 µs");
  CHECK(readable(12.345, "µs") == "12.3 µs");
  CHECK(readable(0.0042, "s") == "4.20 ms");
  CHECK(readable(999.96, "ns") == "1.00 µs");
  CHECK(readable(9.996, "ms") == "10.0 ms");
  CHECK(readable(7200, "s") == "7,200 s");
  CHECK(readable(1'400'000, "/s") == "1.40 M/s");
  CHECK(readable(512, "/s") == "512/s");
  CHECK(readable(5928.96, "B") == "5.79 KiB");
  CHECK(readable(1024 * 1024, "KiB") == "1 GiB");
  CHECK(readable(0.04, "%") == "0.0400 %");
  CHECK(readable(1234567, "entries") == "1,234,567 entries");
  CHECK(readable(0, "µs") == "0 µs");
  CHECK(readable(0, "/s") == "0/s");
  CHECK(readable(-1500, "ns") == "-1.50 µs");
}

TEST_CASE("numbers without a unit are grouped, and what is no number is a dash") {
  CHECK(readable(0) == "0");
  CHECK(readable(999) == "999");
  CHECK(readable(1000) == "1,000");
  CHECK(readable(-123456) == "-123,456");
  CHECK(readable(1234567.4) == "1,234,567");
  CHECK(readable(99.9) == "99.9");
  CHECK(readable(0.5) == "0.500");
  CHECK(readable(std::numeric_limits<double>::quiet_NaN()) == "-");
  CHECK(readable(std::numeric_limits<double>::infinity(), "ms") == "- ms");
}

TEST_CASE("a key names its unit in ASCII") {
  CHECK(key_of("server CPU per delivery", "µs") == "server_cpu_per_delivery_us");
  CHECK(key_of("deliveries", "/s") == "deliveries_per_s");
  CHECK(key_of("sent", "MiB/s") == "sent_mib_per_s");
  CHECK(key_of("idle CPU", "%") == "idle_cpu_percent");
  CHECK(key_of("age (p99)", "ms") == "age_p99_ms");
  CHECK(key_of("connections") == "connections");
}

TEST_CASE("a number in JSON is the same number, and none is null") {
  CHECK(json_number(0.1) == "0.1");
  CHECK(json_number(1e300) == "1e+300");
  CHECK(json_number(-std::numeric_limits<double>::infinity()) == "null");
}

TEST_CASE("nothing printed commands a terminal") {
  CHECK(printable("a\x1b[31mb\n\x7f") == "a?[31mb??");
  CHECK(printable("µ\xc2\x9b"
                  "31m") == "µ?31m");
  CHECK(printable("broken \xff \xc2") == "broken ? ?");
  CHECK(columns_of("12.3 µs") == 7);
}

TEST_CASE("the steps of a scale are round, few, and reach its end") {
  CHECK(linear_steps(10).back() == 10);
  CHECK(linear_steps(10.1).back() == 12);
  CHECK(linear_steps(0) == std::vector<double>{0, 1});
  for (double max = 0.001; max < 1e9; max *= 1.07) {
    auto steps = linear_steps(max);
    CHECK(steps.back() >= max * (1 - 1e-9));
    CHECK(steps.size() >= 3);
    CHECK(steps.size() <= 7);
  }
}
