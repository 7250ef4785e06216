// The part that all scripts of the log begin with: is it the same log, and how far is it?
#pragma once

#include <string_view>

namespace confab::store::redis_scripts {

inline constexpr std::string_view observation = R"lua(
local STREAM, LOG, PRODUCERS, INDEX, SINCE = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local NAME, NOW, FRESH, IMPORT = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4] == '1'
local KNOWN_EPOCH, KNOWN_SEQ, KNOWN_ID = ARGV[5], tonumber(ARGV[6]), ARGV[7]
local function int(x) return string.format('%.0f', x) end
local function digits_less(a, b) return #a < #b or (#a == #b and a < b) end
local function id_less(a, b)
  local ams, an = a:match('^(%d+)-(%d+)$')
  local bms, bn = b:match('^(%d+)-(%d+)$')
  return digits_less(ams, bms) or (ams == bms and digits_less(an, bn))
end
local function marked(text) return text:match('^(%d+) (%d+%-%d+)$') end
local function stream_facts()
  local x = redis.pcall('XINFO', 'STREAM', STREAM)
  if x.err then
    if x.err:find('no such key', 1, true) then return nil end
    error(x)
  end
  local f = {first = '0-0', last = '0-0'}
  for i = 1, #x, 2 do
    if x[i] == 'entries-added' then f.added = x[i + 1]
    elseif x[i] == 'length' then f.length = x[i + 1]
    elseif x[i] == 'last-generated-id' then f.top = x[i + 1]
    elseif x[i] == 'max-deleted-entry-id' then f.deleted = x[i + 1]
    elseif x[i] == 'first-entry' and x[i + 1] then f.first = x[i + 1][1]
    elseif x[i] == 'last-entry' and x[i + 1] then f.last = x[i + 1][1] end
  end
  f.held = f.added - f.length + 1
  return f
end
local function holds(f, seq, id)
  if seq == 0 then return true end
  if seq > f.added or id_less(f.top, id) then return false end
  if seq < f.held then return f.length == 0 or id_less(id, f.first) end
  if seq == f.added then return id == f.last end
  -- At its place: behind it stand as many as were added since. Of very many, only that it is there.
  local behind = f.added - seq
  if behind > 1000 then return #redis.call('XRANGE', STREAM, id, id) == 1 end
  local some = redis.call('XRANGE', STREAM, id, '+', 'COUNT', behind + 2)
  return #some == behind + 1 and some[1][1] == id
end
local function place_since(f)
  local since = redis.call('GET', SINCE)
  if IMPORT or not since then return 1 end
  if f.length == 0 then return f.added + 1 end
  since = since .. '-0'
  if not id_less(f.first, since) then return 1 end
  if id_less(f.last, since) then return f.added + 1 end
  local behind, from = 0, since
  while true do
    local some = redis.call('XRANGE', STREAM, from, '+', 'COUNT', 100)
    behind = behind + #some
    if #some < 100 or behind >= 100000 then return f.added + 1 - behind end
    from = '(' .. some[#some][1]
  end
end
local function observe()
  local h = redis.call('HMGET', LOG, 'epoch', 'content_type', 'ttl_s', 'expires_ms', 'closed', 'last',
                       'first', 'deleted', 'stream_seq')
  local epoch, closed, last = h[1], h[5] or '', h[6] or '0 0-0'
  local first, deleted, stream_seq = tonumber(h[7] or '1'), h[8] or '0-0', h[9] or ''
  local content_type, ttl_s, expires_ms = h[2] or 'application/json', h[3] or '-1', h[4] or '-1'
  if epoch and tonumber(expires_ms) >= 0 and tonumber(expires_ms) <= NOW then
    redis.call('UNLINK', STREAM, LOG, PRODUCERS)
    redis.call('ZREM', INDEX, NAME)
    return {0}
  end
  local f = stream_facts()
  if not epoch then
    if not f or f.added == 0 then return {0} end
    redis.call('ZCARD', INDEX)
    epoch, first, deleted = FRESH .. '.1', place_since(f), f.deleted
    redis.call('UNLINK', PRODUCERS)
    redis.call('HSET', LOG, 'epoch', epoch, 'content_type', content_type, 'first', int(first), 'deleted',
               deleted, 'last', int(f.added) .. ' ' .. (f.length > 0 and f.last or f.top))
    redis.call('ZADD', INDEX, 0, NAME)
  else
    local last_seq, last_id = marked(last)
    last_seq = tonumber(last_seq)
    local own = last_seq == 0
    if f and not own then
      -- XDEL leaves a stream what it was, but for the places.
      own = holds(f, last_seq, last_id) or
            (f.deleted ~= deleted and f.added >= last_seq and not id_less(f.top, last_id))
    end
    f = f or {added = 0, length = 0, held = 1, top = '0-0', first = '0-0', last = '0-0', deleted = '0-0'}
    local same = own and f.deleted == deleted and
                 (KNOWN_EPOCH ~= epoch or holds(f, KNOWN_SEQ, KNOWN_ID))
    if not same then
      -- What the hashes say of a stream that is not theirs is void. One that went back went back
      -- with them.
      if not own then
        redis.call('UNLINK', PRODUCERS)
        closed, stream_seq, first = '', '', 1
        redis.call('HDEL', LOG, 'closed', 'stream_seq', 'first')
      end
      epoch, deleted = FRESH .. '.' .. int(tonumber(epoch:match('%.(%d+)$') or '0') + 1), f.deleted
      redis.call('HSET', LOG, 'epoch', epoch, 'deleted', deleted, 'last',
                 int(f.added) .. ' ' .. (f.length > 0 and f.last or f.top))
    end
  end
  local tail, tail_id = f.added, f.length > 0 and f.last or f.top
  if closed ~= '' then
    local seq, id = marked(closed)
    tail, tail_id = tonumber(seq), id
  end
  first = math.min(math.max(first, f.held), tail + 1)
  return {1, epoch, first, tail, tail_id, closed == '' and 'open' or 'closed', content_type, tonumber(ttl_s),
          tonumber(expires_ms), stream_seq, f.top, f.length, f.held}
end
)lua";

} // namespace confab::store::redis_scripts
