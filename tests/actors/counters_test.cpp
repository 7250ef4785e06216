// What actors count for /metrics.
#include "actors/measures.hpp"
#include "support/actor_bed.hpp"

#include <doctest/doctest.h>

#include <set>
#include <sstream>

using namespace confab;
using namespace confab::test;

TEST_CASE_FIXTURE(actor_bed,
                  "an entry that was published is counted once, however often it was sent") {
  auto testee = conversation_of(room());
  publish(testee, 1, "p", 1);
  run();
  publish(testee, 2, "p", 1, true);
  publish(testee, 3, "p", 2);
  run();
  CHECK(answer(2) == "1!");
  CHECK(env.counted.published_entries.value() == 2);
  CHECK(env.counted.published_bytes.value() > 0);
}

TEST_CASE_FIXTURE(actor_bed, "a publish that is refused is counted by its code") {
  auto phone = dial("phone");
  auto drafts = std::make_shared<model::batch>();
  drafts->drafts.push_back(
      {.sender = "a", .kind = "message", .payload = "1", .message = {}, .source_id = {}});
  drafts->producer = "p";
  drafts->producer_seq = 1;
  log->script = {model::error{model::code::store_failed, "test"},
                 model::error{model::code::store_failed, "test"}};
  phone.tell(net::publish_command{"1", room(), drafts});
  run();
  CHECK(env.counted.refused_appends.value(model::code::store_failed) == 1);
  CHECK(env.counted.published_entries.value() == 0);
  phone.end();
  run();
}

TEST_CASE_FIXTURE(actor_bed, "no figure is told twice, and each is of Confab") {
  net::metrics all;
  actors::measure(env, all);
  auto text = all.text();
  std::set<std::string> names;
  std::istringstream lines{text};
  for (std::string text_line; std::getline(lines, text_line);)
    if (text_line.starts_with("# TYPE ")) {
      CAPTURE(text_line);
      CHECK(text_line.starts_with("# TYPE confab_"));
      CHECK(names.insert(text_line.substr(7, text_line.find(' ', 7) - 7)).second);
    }
  CHECK(names.size() > 20);
}
