#include "store/crc32c.hpp"

#include <array>
#include <cstring>

namespace confab::store {

namespace {

// The polynomial 0x1EDC6F41, bits reversed.
constexpr std::uint32_t polynomial = 0x82F63B78;

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    auto x = i;
    for (int bit = 0; bit < 8; ++bit)
      x = (x >> 1) ^ ((x & 1) != 0 ? polynomial : 0);
    table[i] = x;
  }
  return table;
}

constexpr auto table = make_table();

using implementation = std::uint32_t (*)(std::uint32_t, const void*, std::size_t) noexcept;

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t
crc32c_by_instruction(std::uint32_t crc, const void* data, std::size_t size) noexcept {
  const auto* at = static_cast<const unsigned char*>(data);
  std::uint64_t wide = static_cast<std::uint32_t>(~crc);
  for (; size >= 8; size -= 8, at += 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    wide = __builtin_ia32_crc32di(wide, word);
  }
  auto narrow = static_cast<std::uint32_t>(wide);
  for (; size > 0; --size, ++at)
    narrow = __builtin_ia32_crc32qi(narrow, *at);
  return ~narrow;
}

implementation choose() noexcept {
  __builtin_cpu_init();
  return __builtin_cpu_supports("sse4.2") ? crc32c_by_instruction : crc32c_by_table;
}
#else
implementation choose() noexcept {
  return crc32c_by_table;
}
#endif

const implementation chosen = choose();

} // namespace

std::uint32_t crc32c(std::uint32_t crc, const void* data, std::size_t size) noexcept {
  return chosen(crc, data, size);
}

std::uint32_t crc32c_by_table(std::uint32_t crc, const void* data, std::size_t size) noexcept {
  const auto* at = static_cast<const unsigned char*>(data);
  crc = ~crc;
  for (; size > 0; --size, ++at)
    crc = (crc >> 8) ^ table[(crc ^ *at) & 0xff];
  return ~crc;
}

} // namespace confab::store
