// CRC-32C (Castagnoli), the checksum of every stored entry.
#pragma once

#include <cstddef>
#include <cstdint>

namespace confab::store {

/// Continues `crc` (0 at the start) over `size` bytes. By the processor's instruction where there
/// is one.
[[nodiscard]] std::uint32_t crc32c(std::uint32_t crc, const void* data, std::size_t size) noexcept;

/// The same by table, on any processor. For `crc32c`, and for the test that compares them.
[[nodiscard]] std::uint32_t crc32c_by_table(std::uint32_t crc, const void* data,
                                            std::size_t size) noexcept;

} // namespace confab::store
