#include "store/redis_connection.hpp"
#include "store/stream_reply.hpp"
#include "store/stream_source.hpp"

#include <algorithm>
#include <charconv>

namespace confab::store {

namespace {

/// A look brings at most so many entries, and about so many bytes of them.
constexpr std::int64_t look_entries_max = 256;
constexpr std::int64_t look_bytes_max = 1024 * 1024;
constexpr std::string_view xrange = "XRANGE";

// KEYS: the stream. ARGV: id of the last handled entry, how many entries at
// most, their bytes at most, the last handled entry's place.
//
// Entries behind the last one are counted by strides, since Redis has no
// command for it; that is only needed where older ones are there and the last
// one is not. Where it is there, as many are counted as tell whether it stands
// at its place: another stream may hold the same id.
constinit const redis_script look_script{"the script that looks at a stream",
                                         R"lua(
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

redis_command range(const stream_mark& x, std::string_view from, std::size_t count) {
  return redis_command{xrange}
      .add(model::stream_of(x.name))
      .add(from)
      .add("+")
      .add("COUNT")
      .add(static_cast<std::int64_t>(count));
}

model::error other_type() {
  return {model::code::unsupported, "the key is of another type"};
}

model::result<model::entry_id> id_in(const redis_reply& x) {
  auto text = text_of(x, look_script.name);
  if (!text)
    return text.why();
  auto id = model::parse_entry_id(**text);
  if (!id)
    return model::error{model::code::unsupported, "an id of the stream is beyond 2^63"};
  return *id;
}

/// Counts that were set by hand may be negative.
std::uint64_t counted(std::int64_t x) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, x));
}

model::result<stream_look> look_in(const redis_reply& x) {
  if (x.refuses("WRONGTYPE"))
    return other_type();
  auto all = elements_of(x, look_script.name);
  if (!all)
    return all.why();
  const auto& parts = **all;
  stream_look seen;
  if (parts.size() == 1)
    return seen;
  if (parts.size() != 9)
    return unexpected(x, look_script.name);
  seen.exists = true;
  std::int64_t numbers[4] = {};
  constexpr std::size_t at[4] = {1, 2, 3, 7};
  for (std::size_t i = 0; i < 4; ++i) {
    auto number = integer_of(parts[at[i]], look_script.name);
    if (!number)
      return number.why();
    numbers[i] = *number;
  }
  model::entry_id ids[3];
  for (std::size_t i = 0; i < 3; ++i) {
    auto id = id_in(parts[4 + i]);
    if (!id)
      return id.why();
    ids[i] = *id;
  }
  seen.facts = {.added = counted(numbers[0]),
                .behind = counted(numbers[1]),
                .holds_last = numbers[2] > 0,
                .first = ids[0],
                .last_generated = ids[1],
                .deleted = ids[2]};
  seen.more = numbers[3] > 0;
  auto entries = stream_entries(parts[8], look_script.name);
  if (!entries)
    return entries.why();
  seen.entries = std::move(*entries);
  return seen;
}

class redis_stream_source final : public stream_source {
public:
  explicit redis_stream_source(redis_options how) : redis_{std::move(how)} {}

  model::status connect() override { return redis_.connect(); }
  std::int64_t retry_in_ms() const override { return redis_.retry_in_ms(); }
  const std::string& run_id() const override { return redis_.facts().run_id; }

  each<model::result<std::vector<model::stream_entry>>> read(std::span<const stream_mark> marks,
                                                             std::size_t entries_max) override {
    std::vector<redis_command> commands;
    for (const auto& x : marks)
      commands.push_back(range(x, to_string(x.at.id), entries_max + 1));
    auto replies = redis_.send_all(commands);
    if (!replies)
      return replies.why();
    std::vector<model::result<std::vector<model::stream_entry>>> result;
    for (const auto& x : *replies)
      if (x.refuses("WRONGTYPE"))
        result.emplace_back(other_type());
      else
        result.push_back(stream_entries(x, xrange));
    return result;
  }

  each<bool> grew(std::span<const stream_mark> marks) override {
    std::vector<redis_command> commands;
    for (const auto& x : marks)
      commands.push_back(range(x, '(' + to_string(x.at.id), 1));
    auto replies = redis_.send_all(commands);
    if (!replies)
      return replies.why();
    std::vector<bool> result;
    for (const auto& x : *replies)
      result.push_back(!x.is(redis_reply::kind::array) || !x.elements.empty());
    return result;
  }

  each<model::result<stream_look>> look(std::span<const stream_mark> marks) override {
    std::vector<redis_call> calls;
    for (const auto& x : marks)
      calls.push_back({{model::stream_of(x.name)},
                       {to_string(x.at.id), std::to_string(look_entries_max),
                        std::to_string(look_bytes_max), std::to_string(x.at.place)}});
    auto replies = redis_.call_all(look_script, calls);
    if (!replies)
      return replies.why();
    std::vector<model::result<stream_look>> result;
    for (const auto& x : *replies)
      result.push_back(look_in(x));
    return result;
  }

private:
  redis_connection redis_;
};

} // namespace

std::unique_ptr<stream_source> open_stream_source(redis_options how) {
  return std::make_unique<redis_stream_source>(std::move(how));
}

model::result<std::int64_t> redis_time_ms(const redis_options& how) {
  redis_connection redis{how};
  redis_command command{"TIME"};
  auto reply = redis.send(command);
  if (!reply)
    return reply.why();
  if (reply->elements.size() != 2)
    return unexpected(*reply, command.name());
  const auto& text = reply->elements.front().text;
  std::int64_t seconds = 0;
  auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (failure != std::errc{} || end != text.data() + text.size())
    return unexpected(*reply, command.name());
  return seconds * 1000;
}

} // namespace confab::store
