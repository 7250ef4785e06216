#include "check.hpp"

#include "store/log_check.hpp"

#include <iostream>

namespace confab {

int check(const std::string& directory) {
  auto summary =
      store::check(directory, [](const std::string& line) { std::cout << line << '\n'; });
  if (!summary) {
    std::cerr << "confab check: " << summary.why().detail << '\n';
    return 2;
  }
  std::cout << directory << ": " << summary->conversations << " conversations, " << summary->entries
            << " entries, " << summary->defects << " defects\n";
  return summary->defects == 0 ? 0 : 1;
}

} // namespace confab
