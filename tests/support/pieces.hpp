// Bytes as a network hands them over: in pieces of any size, the unused rest in front of the next.
#pragma once

#include <cstddef>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace confab::test {

/// Calls `take(span<char>) -> bytes used` until all bytes were offered. @returns what it left.
template <class Take>
std::string in_pieces(std::string_view bytes, std::mt19937_64& random, Take&& take) {
  std::vector<char> held;
  while (!bytes.empty()) {
    // Single bytes as well as everything at once.
    auto most = std::size_t{1} << (random() % 14);
    auto n = std::min<std::size_t>(bytes.size(), 1 + random() % most);
    held.insert(held.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
    bytes.remove_prefix(n);
    // A copy of the exact size: a sanitizer sees whoever reads behind the end.
    std::vector<char> offered(held);
    auto used = take(std::span<char>{offered});
    held.assign(offered.begin() + static_cast<std::ptrdiff_t>(used), offered.end());
  }
  return {held.begin(), held.end()};
}

} // namespace confab::test
