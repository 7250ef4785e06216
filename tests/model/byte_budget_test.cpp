#include "model/byte_budget.hpp"

#include <doctest/doctest.h>

using namespace confab;

TEST_CASE("try_take takes up to the budget's last byte and nothing beyond it") {
  model::byte_budget budget{100};
  CHECK(budget.try_take(60));
  CHECK_FALSE(budget.try_take(41));
  CHECK(budget.used() == 60); // what was refused counts for nothing
  CHECK(budget.try_take(40));
  CHECK(budget.used() == 100);
  CHECK_FALSE(budget.over());
  budget.give_back(60);
  CHECK(budget.try_take(60));
}

TEST_CASE("take may go over the budget, which is then over it until enough is given back") {
  model::byte_budget budget{100};
  budget.take(101);
  CHECK(budget.over());
  budget.give_back(1);
  CHECK_FALSE(budget.over());
}
