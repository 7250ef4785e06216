#include "net/metrics.hpp"

#include <doctest/doctest.h>

using namespace confab;

TEST_CASE("figures are told as Prometheus reads them, with help, type and labels") {
  net::metrics all;
  all.now("confab_connections", "Open connections.", 3);
  all.rising("confab_errors_total", "Errors, by code.", "code", {{"closed", 2}, {"gone", 1}});
  CHECK(all.text() == "# HELP confab_connections Open connections.\n"
                      "# TYPE confab_connections gauge\n"
                      "confab_connections 3\n"
                      "# HELP confab_errors_total Errors, by code.\n"
                      "# TYPE confab_errors_total counter\n"
                      "confab_errors_total{code=\"closed\"} 2\n"
                      "confab_errors_total{code=\"gone\"} 1\n");
}

TEST_CASE("only codes that were counted have a figure") {
  model::counters_by_code<model::counter> counted;
  counted.add(model::code::moved);
  counted.add(model::code::closed);
  counted.add(model::code::closed);
  auto figures = net::by_code([&](model::code x) { return counted.value(x); });
  CHECK(figures == std::vector<net::metrics::labelled>{{"closed", 2}, {"moved", 1}});
}

TEST_CASE("a count that goes down again is as many as there are") {
  model::thread_counter there;
  there.add(3);
  there.take_back();
  CHECK(there.value() == 2);
}
