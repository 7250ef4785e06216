// The part that all scripts of the log begin with: is it the same log, and how far is it?
//
// A fork's stream begins as one to which its source's first n entries were added and trimmed, so
// that a place in it is a seq, too. What it shares is in the streams of its sources: its parts, the
// oldest first, each through a seq, the last one its own.
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
-- Of another log, the key that this one has as `mine`.
local function key_of(mine, name) return mine:sub(1, #mine - #NAME) .. name end
local function forks_of(name) return 'confab:forks:' .. name end
local function origin_in(text)
  local source, at, id, cut, epoch = text:match('^(%S+) (%d+) (%d+%-%d+) (%d+) (%S+)$')
  if not source then error('confab:log names a fork origin that Confab never wrote') end
  return {source = source, at = tonumber(at), id = id, cut = tonumber(cut), epoch = epoch}
end
local function origin_text(x)
  return x.source .. ' ' .. int(x.at) .. ' ' .. x.id .. ' ' .. int(x.cut) .. ' ' .. x.epoch
end
local function ended(expires_ms) return expires_ms and tonumber(expires_ms) >= 0 and tonumber(expires_ms) <= NOW end
-- Whether a fork of this log is there, besides those in `over`. Those that have ended go there.
local function has_forks(name, over)
  local cursor = '0'
  repeat
    local some = redis.call('SSCAN', forks_of(name), cursor, 'COUNT', 20)
    cursor = some[1]
    for _, fork in ipairs(some[2]) do
      local h = redis.call('HMGET', key_of(LOG, fork), 'fork', 'gone', 'expires_ms')
      if not over[fork] and h[1] and origin_in(h[1]).source == name then
        if not (h[2] or ended(h[3])) or has_forks(fork, over) then return true end
        over[fork] = true
      end
    end
  until cursor == '0'
  return false
end
-- Removes a log, and sources that were kept for it alone; or keeps it for its forks: says so.
local function remove(name, gone)
  redis.call('ZCARD', INDEX)
  local over = {}
  if has_forks(name, over) then
    if not gone then
      redis.call('HSET', key_of(LOG, name), 'gone', '1')
      redis.call('UNLINK', key_of(PRODUCERS, name))
    end
    return true
  end
  local source = name
  while source do
    over[source] = true
    local origin = redis.call('HGET', key_of(LOG, source), 'fork')
    source = origin and origin_in(origin).source
    if source and (has_forks(source, over) or not redis.call('HGET', key_of(LOG, source), 'gone')) then break end
  end
  for x in pairs(over) do
    local origin = redis.call('HGET', key_of(LOG, x), 'fork')
    if origin then redis.call('SREM', forks_of(origin_in(origin).source), x) end
    redis.call('UNLINK', key_of(STREAM, x), key_of(LOG, x), key_of(PRODUCERS, x), forks_of(x))
    redis.call('ZREM', INDEX, x)
  end
  return false
end
local function stream_facts(stream)
  local x = redis.pcall('XINFO', 'STREAM', stream)
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
local function holds(stream, f, seq, id)
  if seq == 0 then return true end
  if seq > f.added or id_less(f.top, id) then return false end
  if seq < f.held then return f.length == 0 or id_less(id, f.first) end
  if seq == f.added then return id == f.last end
  -- At its place: behind it stand as many as were added since. Of very many, only that it is there.
  local behind = f.added - seq
  if behind > 1000 then return #redis.call('XRANGE', stream, id, id) == 1 end
  local some = redis.call('XRANGE', stream, id, '+', 'COUNT', behind + 2)
  return #some == behind + 1 and some[1][1] == id
end
local function count_from(stream, from)
  local count = 0
  while true do
    local some = redis.call('XRANGE', stream, from, '+', 'COUNT', 100)
    count = count + #some
    if #some < 100 or count >= 100000 then return count end
    from = '(' .. some[#some][1]
  end
end
local function place_since(stream, f)
  local since = redis.call('GET', SINCE)
  if IMPORT or not since then return 1 end
  if f.length == 0 then return f.added + 1 end
  since = since .. '-0'
  if not id_less(f.first, since) then return 1 end
  if id_less(f.last, since) then return f.added + 1 end
  return f.added + 1 - count_from(stream, since)
end
local function part_at(parts, at)
  for i = 1, #parts do
    if at <= parts[i].through then return parts[i] end
  end
end
-- Whether a log that was replaced still has this entry where it was: counted, however far back.
local function still_holds(s, at, id)
  local x = part_at(s.parts, at)
  local f = x.facts
  return holds(x.stream, f, at, id) and
         (at < f.held or f.added - at <= 1000 or count_from(x.stream, id) == f.added - at + 1)
end
-- A log, if there is one; else whether it is kept for its forks. `kept`: such a one, too.
local function sight_of(name, kept, known_epoch, known_seq, known_id)
  local stream, log = key_of(STREAM, name), key_of(LOG, name)
  local h = redis.call('HMGET', log, 'epoch', 'content_type', 'ttl_s', 'expires_ms', 'closed', 'last',
                       'first', 'deleted', 'stream_seq', 'fork', 'gone')
  local epoch, closed, last = h[1], h[5] or '', h[6] or '0 0-0'
  local first, deleted, stream_seq = tonumber(h[7] or '1'), h[8] or '0-0', h[9] or ''
  local content_type, ttl_s, expires_ms = h[2] or 'application/json', h[3] or '-1', h[4] or '-1'
  if epoch and not kept and (h[11] or ended(expires_ms)) then return nil, remove(name, h[11]) end
  local f = stream_facts(stream)
  local origin, source = h[10] and origin_in(h[10]), nil
  if not epoch then
    if not f or f.added == 0 then return nil end
    redis.call('ZCARD', INDEX)
    epoch, first, deleted = FRESH .. '.1', place_since(stream, f), f.deleted
    redis.call('UNLINK', key_of(PRODUCERS, name))
    redis.call('HSET', log, 'epoch', epoch, 'content_type', content_type, 'first', int(first), 'deleted',
               deleted, 'last', int(f.added) .. ' ' .. (f.length > 0 and f.last or f.top))
    redis.call('ZADD', INDEX, 0, name)
  else
    local last_seq, last_id = marked(last)
    last_seq = tonumber(last_seq)
    local own = last_seq == 0
    if f and not own then
      -- XDEL leaves a stream what it was, but for the places.
      own = holds(stream, f, last_seq, last_id) or
            (f.deleted ~= deleted and f.added >= last_seq and not id_less(f.top, last_id))
    end
    f = f or {added = 0, length = 0, held = 1, top = '0-0', first = '0-0', last = '0-0', deleted = '0-0'}
    if origin then
      redis.call('SCARD', forks_of(origin.source))
      source = sight_of(origin.source, true, '', 0, '0-0')
    end
    local same = own and f.deleted == deleted and
                 (known_epoch ~= epoch or holds(stream, f, known_seq, known_id)) and
                 (not origin or (source and source.epoch == origin.epoch))
    if not same then
      -- What the hashes say of a stream that is not theirs is void. One that went back went back
      -- with them.
      if not own then
        redis.call('UNLINK', key_of(PRODUCERS, name))
        closed, stream_seq, first = '', '', 1
        redis.call('HDEL', log, 'closed', 'stream_seq', 'first')
      end
      epoch, deleted = FRESH .. '.' .. int(tonumber(epoch:match('%.(%d+)$') or '0') + 1), f.deleted
      redis.call('HSET', log, 'epoch', epoch, 'deleted', deleted, 'last',
                 int(f.added) .. ' ' .. (f.length > 0 and f.last or f.top))
      if origin and own and source and still_holds(source, origin.at, origin.id) then
        origin.epoch = source.epoch
        redis.call('HSET', log, 'fork', origin_text(origin))
      elseif origin then
        -- What it shared is lost, or the fork itself: it has what is in its own stream.
        redis.call('HDEL', log, 'fork')
        redis.call('SREM', forks_of(origin.source), name)
        if source and source.gone then remove(origin.source, true) end
        origin = nil
      end
    end
  end
  local tail, tail_id = f.added, f.length > 0 and f.last or f.top
  if closed ~= '' then
    local seq, id = marked(closed)
    tail, tail_id = tonumber(seq), id
  end
  local held, parts = f.held, {}
  if origin then
    for i, x in ipairs(source.parts) do
      local beyond = x.through >= origin.at
      parts[i] = {name = x.name, stream = x.stream, facts = x.facts, epoch = x.epoch,
                  through = beyond and origin.at or x.through, id = beyond and origin.id or x.id}
    end
    -- Nothing of its own was trimmed: it begins where its source does.
    if held == origin.at + 1 then
      held, first = math.min(held, source.held), math.max(first, math.min(held, source.first))
    end
  end
  parts[#parts + 1] = {name = name, stream = stream, facts = f, epoch = epoch, through = math.huge}
  first = math.min(math.max(first, held), tail + 1)
  return {epoch = epoch, first = first, tail = tail, tail_id = tail_id, closed = closed ~= '',
          content_type = content_type, ttl_s = tonumber(ttl_s), expires_ms = tonumber(expires_ms),
          stream_seq = stream_seq, top = f.top, length = f.length, held = held, origin = origin,
          parts = parts, gone = h[11]}
end
local function observation_of(s, gone)
  if not s then return gone and {0, 1} or {0} end
  local fork = {}
  if s.origin then
    fork = {s.origin.source, s.origin.at, s.origin.cut}
    for i = 1, #s.parts - 1 do
      local x, n = s.parts[i], #fork
      fork[n + 1], fork[n + 2], fork[n + 3] = x.name, x.epoch, x.through
    end
  end
  return {1, s.epoch, s.first, s.tail, s.tail_id, s.closed and 'closed' or 'open', s.content_type, s.ttl_s,
          s.expires_ms, s.stream_seq, s.top, s.length, s.held, fork}
end
local function observe()
  local s, gone = sight_of(NAME, false, KNOWN_EPOCH, KNOWN_SEQ, KNOWN_ID)
  return observation_of(s, gone), s
end
)lua";

} // namespace confab::store::redis_scripts
