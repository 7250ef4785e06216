#include "store/sqlite_rows.hpp"

#include "store/crc32c.hpp"
#include "store/creation_rules.hpp"

#include <algorithm>
#include <array>
#include <bit>

namespace confab::store {

namespace {

/// What `row_reader::read` expects, in its order.
constexpr const char* conversation_columns =
    "SELECT id, epoch, first, base_ms, base_n, base_bytes, content_type, closed, gone, stream_seq, "
    "expires_ms, ttl_s, fork_row, fork_of, fork_seq, fork_cut, fork_ms, fork_n, fork_bytes, "
    "mirrored "
    "FROM conversations ";

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

log_head conversation_head::head() const {
  if (gone)
    return {.gone = true};
  std::vector<model::ancestor> ancestors;
  for (const auto& x : shared)
    ancestors.push_back({{x.epoch}, x.through});
  return {state(), settings, stream_seq, fork, std::move(ancestors), false, mirrored};
}

conversation_head::place conversation_head::place_of(model::seq at) const noexcept {
  for (const auto& x : shared)
    if (at <= x.through)
      return {x.row, x.through};
  return {row, tail};
}

void conversation_head::share(const conversation_head& source) {
  auto at = fork->at;
  shared = source.shared;
  shared.push_back({source.row, source.epoch, at});
  // Where the source left its own source may be behind the place where this one leaves it.
  for (auto& x : shared)
    x.through = std::min(x.through, at);
  // What retention took from the source is not in this log either.
  auto begins = std::min(source.first, at.next());
  if (begins <= first)
    return;
  bool some = source.first <= at.next();
  first = begins;
  base_id = some ? source.base_id : fork_id;
  base_bytes = some ? source.base_bytes : fork_bytes;
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
                  std::string{conversation_columns} + "WHERE name = ?1"},
    by_row_{db, "reading a fork's source", std::string{conversation_columns} + "WHERE id = ?1"},
    tail_{db, "reading a tail",
          "SELECT seq, ms, n, bytes_through FROM entries WHERE conversation = ?1 "
          "ORDER BY seq DESC LIMIT 1"},
    entry_{db, "reading an entry",
           std::string{"SELECT "} + entry_columns +
               " FROM entries WHERE conversation = ?1 AND seq = ?2"},
    mark_{db, "reading an entry",
          "SELECT ms, n, bytes_through FROM entries WHERE conversation = ?1 AND seq = ?2"} {}

/// One row of the table, before its sources have been looked at.
struct row_reader::found_row {
  conversation_head head;
  std::optional<std::int64_t> source;
};

row_reader::found_row row_reader::read(query& row, std::string_view name) {
  found_row x;
  auto& head = x.head;
  head.row = row.integer(0);
  head.epoch = row.text(1);
  head.first = {row.natural(2, model::seq_max.value + 1)};
  head.base_id = {row.natural(3), row.natural(4)};
  head.base_bytes = row.natural(5);
  head.settings.content_type = row.text(6);
  head.closed = row.natural(7, 1) != 0;
  head.gone = row.natural(8, 1) != 0;
  head.stream_seq = row.bytes(9);
  if (!row.null(10))
    head.settings.lifetime.expires_ms = row.integer(10);
  if (!row.null(11))
    head.settings.lifetime.ttl_s = static_cast<std::uint32_t>(row.natural(11, UINT32_MAX));
  if (!row.null(12)) {
    x.source = row.integer(12);
    head.fork = fork_origin{
        std::string{row.text(13)}, {row.natural(14, model::seq_max.value)}, row.natural(15)};
    head.fork_id = {row.natural(16), row.natural(17)};
    head.fork_bytes = row.natural(18);
  }
  head.mirrored = {row.natural(19, model::seq_max.value)};
  if (!row.sound() || head.first.value == 0 || !epoch_text(head.epoch))
    throw damaged_conversation(name, "its row has a wrong type or range");
  return x;
}

std::optional<conversation_head> row_reader::find(const std::string& name) {
  found_row x;
  {
    query row{conversation_, name};
    if (!row.next())
      return std::nullopt;
    x = read(row, name);
  }
  return resolve(std::move(x), name, 0);
}

conversation_head row_reader::resolve(found_row&& x, std::string_view name, std::size_t depth) {
  auto& head = x.head;
  head.epoch += generation_suffix_;
  if (x.source) {
    // One more than there may be: a circle.
    if (depth > fork_depth_max)
      throw damaged_conversation(name, "it is a fork of too many forks");
    found_row source;
    {
      query row{by_row_, *x.source};
      if (!row.next())
        throw damaged_conversation(name, "the log that it is a fork of is missing");
      source = read(row, name);
    }
    head.share(resolve(std::move(source), name, depth + 1));
  }
  query tail{tail_, head.row};
  if (tail.next()) {
    head.tail = {tail.natural(0, model::seq_max.value)};
    head.tail_id = {tail.natural(1), tail.natural(2)};
    head.tail_bytes = tail.natural(3);
    if (!tail.sound())
      throw damaged_entry(name, head.tail, "the last entry has a column of a wrong type or range");
    if (head.tail < head.first)
      throw damaged_entry(name, head.tail, "the last entry is below the log's first");
  } else if (head.fork && head.first <= head.fork->at.next()) {
    head.tail = head.fork->at;
    head.tail_id = head.fork_id;
    head.tail_bytes = head.fork_bytes;
  } else {
    head.tail = {head.first.value - 1};
    head.tail_id = head.base_id;
    head.tail_bytes = head.base_bytes;
  }
  return std::move(head);
}

std::optional<model::entry> row_reader::entry(const std::string& name, const conversation_head& in,
                                              model::seq at) {
  auto holder = in.place_of(at).row;
  query row{entry_, holder, at.value};
  if (!row.next())
    return std::nullopt;
  std::optional<model::entry> found{std::in_place};
  (void)read_entry(row, name, holder, at, *found);
  found->form = in.form();
  return found;
}

row_reader::mark row_reader::mark_at(const std::string& name, const conversation_head& in,
                                     model::seq at) {
  if (at.next() == in.first)
    return {in.base_id, in.base_bytes};
  query row{mark_, in.place_of(at).row, at.value};
  if (!row.next())
    throw damaged_entry(name, at, "is missing");
  mark found{{row.natural(0), row.natural(1)}, row.natural(2)};
  if (!row.sound())
    throw damaged_entry(name, at, "a column has the wrong type or range");
  return found;
}

} // namespace confab::store
