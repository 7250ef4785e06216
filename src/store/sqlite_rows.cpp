#include "store/sqlite_rows.hpp"

#include "store/crc32c.hpp"

#include <algorithm>
#include <array>
#include <bit>

namespace confab::store {

namespace {

bool epoch_text(std::string_view text) {
  return text.size() >= 8 && text.size() <= 10 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
         });
}

failure damaged_conversation(std::string_view name, std::string_view what) {
  return failure{"conversation " + std::string{name} + ": " + std::string{what}};
}

} // namespace

model::log_state conversation_head::state() const {
  return {
      {epoch}, first, tail, tail_id, closed ? model::lifecycle::closed : model::lifecycle::open};
}

failure damaged_entry(std::string_view name, model::seq at, std::string_view what) {
  return failure{"conversation " + std::string{name} + ", seq " + std::to_string(at.value) + ": " +
                 std::string{what}};
}

std::uint32_t checksum(std::int64_t conversation, const model::entry& x,
                       std::uint64_t bytes_through) noexcept {
  // The lengths are part of it, so that bytes cannot wander from one field to the next.
  std::array<std::uint64_t, 13> numbers{
      static_cast<std::uint64_t>(conversation),
      x.at.value,
      x.id.ms,
      x.id.n,
      static_cast<std::uint64_t>(x.time_ms),
      x.producer_seq,
      bytes_through,
      x.sender.size(),
      x.kind.size(),
      x.payload.size(),
      x.producer.size(),
      x.message.size(),
      x.source_id.size(),
  };
  if constexpr (std::endian::native == std::endian::big)
    for (auto& number : numbers)
      number = __builtin_bswap64(number);
  auto crc = crc32c(0, numbers.data(), sizeof numbers);
  for (const auto* text : {&x.sender, &x.kind, &x.payload, &x.producer, &x.message, &x.source_id})
    crc = crc32c(crc, text->data(), text->size());
  return crc;
}

std::uint64_t read_entry(query& row, std::string_view name, std::int64_t conversation,
                         model::seq expected, model::entry& x) {
  x.at = {row.natural(0, model::seq_max.value)};
  x.id = {row.natural(1), row.natural(2)};
  auto bytes_through = row.natural(3);
  auto crc = row.natural(4, UINT32_MAX);
  x.time_ms = row.integer(5);
  x.producer_seq = row.natural(6);
  x.sender = row.text(7);
  x.kind = row.text(8);
  x.producer = row.text(9);
  x.message = row.text(10);
  x.source_id = row.text(11);
  x.payload = row.bytes(12);
  if (!row.sound())
    throw damaged_entry(name, expected, "a column has the wrong type or range");
  if (x.at != expected)
    throw damaged_entry(name, expected,
                        "is missing; the next one is " + std::to_string(x.at.value));
  if (crc != checksum(conversation, x, bytes_through))
    throw damaged_entry(name, expected, "the checksum differs");
  return bytes_through;
}

row_reader::row_reader(database& db, std::int64_t generation)
  : generation_suffix_{'.' + std::to_string(generation)},
    conversation_{db, "reading a conversation",
                  "SELECT id, epoch, first, base_ms, base_n, base_bytes, content_type, closed "
                  "FROM conversations WHERE name = ?1"},
    tail_{db, "reading a tail",
          "SELECT seq, ms, n, bytes_through FROM entries WHERE conversation = ?1 "
          "ORDER BY seq DESC LIMIT 1"},
    entry_{db, "reading an entry",
           std::string{"SELECT "} + entry_columns +
               " FROM entries WHERE conversation = ?1 AND seq = ?2"},
    mark_{db, "reading an entry",
          "SELECT ms, n, bytes_through FROM entries WHERE conversation = ?1 AND seq = ?2"} {}

std::optional<conversation_head> row_reader::find(const std::string& name) {
  conversation_head found;
  query row{conversation_, name};
  if (!row.next())
    return std::nullopt;
  found.row = row.integer(0);
  found.epoch = row.text(1);
  found.first = {row.natural(2, model::seq_max.value + 1)};
  found.base_id = {row.natural(3), row.natural(4)};
  found.base_bytes = row.natural(5);
  found.content_type = row.text(6);
  found.closed = row.natural(7, 1) != 0;
  if (!row.sound() || found.first.value == 0 || !epoch_text(found.epoch))
    throw damaged_conversation(name, "its row has a wrong type or range");
  found.epoch += generation_suffix_;

  query tail{tail_, found.row};
  if (tail.next()) {
    found.tail = {tail.natural(0, model::seq_max.value)};
    found.tail_id = {tail.natural(1), tail.natural(2)};
    found.tail_bytes = tail.natural(3);
    if (!tail.sound())
      throw damaged_entry(name, found.tail, "the last entry has a column of a wrong type or range");
    if (found.tail < found.first)
      throw damaged_entry(name, found.tail, "the last entry is below the log's first");
  } else {
    found.tail = {found.first.value - 1};
    found.tail_id = found.base_id;
    found.tail_bytes = found.base_bytes;
  }
  return found;
}

std::optional<model::entry> row_reader::entry(const std::string& name, const conversation_head& in,
                                              model::seq at) {
  query row{entry_, in.row, at.value};
  if (!row.next())
    return std::nullopt;
  std::optional<model::entry> found{std::in_place};
  (void)read_entry(row, name, in.row, at, *found);
  return found;
}

row_reader::mark row_reader::mark_at(const std::string& name, const conversation_head& in,
                                     model::seq at) {
  if (at.next() == in.first)
    return {in.base_id, in.base_bytes};
  query row{mark_, in.row, at.value};
  if (!row.next())
    throw damaged_entry(name, at, "is missing");
  mark found{{row.natural(0), row.natural(1)}, row.natural(2)};
  if (!row.sound())
    throw damaged_entry(name, at, "a column has the wrong type or range");
  return found;
}

} // namespace confab::store
