#include "store/crc32c.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>

using namespace confab::store;

TEST_CASE("the checksum is the CRC-32C of RFC 3720") {
  auto of = [](const std::string& x) { return crc32c(0, x.data(), x.size()); };
  CHECK(of("123456789") == 0xE3069283);
  CHECK(of(std::string(32, '\0')) == 0x8A9136AA);
  CHECK(of(std::string(32, '\xff')) == 0x62A8AB43);
  std::string rising;
  for (char c = 0; c < 32; ++c)
    rising += c;
  CHECK(of(rising) == 0x46DD794E);
  CHECK(of({rising.rbegin(), rising.rend()}) == 0x113FDB5C);
  CHECK(of("") == 0);
}

TEST_CASE("instruction and table agree on every length and alignment, also piecewise") {
  std::mt19937 random{1};
  std::string bytes(4096, ' ');
  for (auto& c : bytes)
    c = static_cast<char>(random());
  for (std::size_t begin = 0; begin < 9; ++begin)
    for (std::size_t size = 0; size < 100; ++size) {
      CAPTURE(begin);
      CAPTURE(size);
      const auto* at = bytes.data() + begin;
      auto whole = crc32c_by_table(0, at, size);
      CHECK(crc32c(0, at, size) == whole);
      CHECK(crc32c(crc32c(0, at, size / 3), at + size / 3, size - size / 3) == whole);
    }
  CHECK(crc32c(0, bytes.data(), bytes.size()) == crc32c_by_table(0, bytes.data(), bytes.size()));
}
