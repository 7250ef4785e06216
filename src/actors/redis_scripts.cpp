#include "actors/redis_scripts.hpp"

#include "store/stream_reply.hpp"

#include <algorithm>

namespace confab::actors {

namespace {

/// A look brings at most so many entries, and about so many bytes of them.
constexpr std::int64_t look_entries_max = 256;
constexpr std::int64_t look_bytes_max = 1024 * 1024;

model::result<model::entry_id> id_of(const store::redis_reply& x) {
  auto text = store::text_of(x, look_script.name);
  if (!text)
    return text.why();
  auto id = model::parse_entry_id(**text);
  if (!id)
    return model::error{model::code::unsupported, "an id of the stream is beyond 2^63"};
  return *id;
}

} // namespace

// Entries behind the last one are counted by strides, since Redis has no command for it; that is
// only needed where older ones are there and the last one is not. Where it is there, as many are
// counted as tell whether it stands at its place: another stream may hold the same id.
constinit const store::redis_script look_script{"the script that looks at a stream", R"lua(
local key, last = KEYS[1], ARGV[1]
local count, bytes_max, place = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local kind = redis.call('TYPE', key).ok
if kind == 'none' then return {0} end
if kind ~= 'stream' then return redis.error_reply('WRONGTYPE the key holds no stream') end
local info, said = redis.call('XINFO', 'STREAM', key), {}
for i = 1, #info, 2 do said[info[i]] = info[i + 1] end
local held = #redis.call('XRANGE', key, last, last, 'COUNT', 1)
local before = #redis.call('XRANGE', key, '-', last, 'COUNT', 1)
local behind = said['length']
if held > 0 then
  behind = math.max(0, said['entries-added'] - place)
  if behind <= 1000 then behind = #redis.call('XRANGE', key, '(' .. last, '+', 'COUNT', behind + 1) end
elseif before > 0 then
  behind = 0
  local from = '(' .. last
  repeat
    local page = redis.call('XRANGE', key, from, '+', 'COUNT', 1000)
    behind = behind + #page
    if #page > 0 then from = '(' .. page[#page][1] end
  until #page < 1000
end
local page = redis.call('XRANGE', key, '(' .. last, '+', 'COUNT', count)
local more, bytes, entries = #page == count and 1 or 0, 0, {}
for i, entry in ipairs(page) do
  local size = 0
  for _, text in ipairs(entry[2]) do size = size + #text end
  if size > bytes_max then
    entry[2] = {'too_large', tostring(size)}
    size = 0
  end
  if bytes + size > bytes_max then
    more = 1
    break
  end
  bytes = bytes + size
  entries[i] = entry
end
local first = said['first-entry'] and said['first-entry'][1] or '0-0'
return {1, said['entries-added'], behind, held, first, said['last-generated-id'],
        said['max-deleted-entry-id'], more, entries}
)lua"};

store::redis_call look_call(const model::conversation_name& name,
                            const model::stream_place& behind) {
  return {{model::stream_of(name)},
          {to_string(behind.id), std::to_string(look_entries_max), std::to_string(look_bytes_max),
           std::to_string(behind.place)}};
}

model::result<stream_look> read_look(const store::redis_reply& x) {
  auto all = store::elements_of(x, look_script.name);
  if (!all)
    return all.why();
  const auto& parts = **all;
  stream_look seen;
  if (parts.size() == 1)
    return seen;
  if (parts.size() != 9)
    return store::unexpected(x, look_script.name);
  seen.exists = true;
  std::int64_t numbers[4] = {};
  constexpr std::size_t at[4] = {1, 2, 3, 7};
  for (std::size_t i = 0; i < 4; ++i) {
    auto number = store::integer_of(parts[at[i]], look_script.name);
    if (!number)
      return number.why();
    numbers[i] = *number;
  }
  model::entry_id ids[3];
  for (std::size_t i = 0; i < 3; ++i) {
    auto id = id_of(parts[4 + i]);
    if (!id)
      return id.why();
    ids[i] = *id;
  }
  // Counts that were set by hand may be negative.
  seen.facts = {.added = static_cast<std::uint64_t>(std::max<std::int64_t>(0, numbers[0])),
                .behind = static_cast<std::uint64_t>(std::max<std::int64_t>(0, numbers[1])),
                .holds_last = numbers[2] > 0,
                .first = ids[0],
                .last_generated = ids[1],
                .deleted = ids[2]};
  seen.more = numbers[3] > 0;
  auto entries = store::stream_entries(parts[8], look_script.name);
  if (!entries)
    return entries.why();
  seen.entries = std::move(*entries);
  return seen;
}

} // namespace confab::actors
