#include "check.hpp"

#include "store/log_check.hpp"

#include <iostream>

namespace confab {

namespace {

model::result<store::check_summary> summary_of(const std::string& directory, const config& values) {
  auto print = [](const std::string& line) { std::cout << line << '\n'; };
  if (!directory.empty())
    return store::check(directory, print);
  auto redis = redis_options_of(values.redis);
  return redis ? store::check_redis(*redis, print) : redis.why();
}

} // namespace

int check(const std::string& directory, const config& values) {
  if (directory.empty() == values.redis.address.empty()) {
    std::cerr << "confab check: either DIR, the directory of a log, or --redis.address is needed\n";
    return 2;
  }
  auto summary = summary_of(directory, values);
  if (!summary) {
    std::cerr << "confab check: " << summary.why().detail << '\n';
    return 2;
  }
  std::cout << (directory.empty() ? values.redis.address : directory) << ": "
            << summary->conversations << " conversations, " << summary->entries << " entries, "
            << summary->defects << " defects\n";
  return summary->defects == 0 ? 0 : 1;
}

} // namespace confab
