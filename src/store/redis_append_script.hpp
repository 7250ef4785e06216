// The body of the append script: the one of the hot path.
#pragma once

#include <string_view>

namespace confab::store::redis_scripts {

inline constexpr std::string_view append_body = R"lua(
local FANOUT = KEYS[6]
local TOP, CONTENT_TYPE, MAXLEN, ORIGIN = ARGV[8], ARGV[9], tonumber(ARGV[10]), ARGV[11]
local TTL, INTERNAL_TTL, TTL_S, LENGTH = tonumber(ARGV[12]), tonumber(ARGV[13]), ARGV[14], tonumber(ARGV[15])
local argument = 16
local function take()
  argument = argument + 1
  return ARGV[argument]
end
local function bytes_less(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = a:byte(i), b:byte(i)
    if x ~= y then return x < y end
  end
  return #a < #b
end
local dirty = false
local function run()
  local h = redis.call('HMGET', LOG, 'epoch', 'closed', 'expires_ms', 'stream_seq')
  redis.call('XLEN', FANOUT)
  redis.call('HLEN', PRODUCERS)
  local epoch, stream_seq = h[1] or '', h[4] or ''
  if epoch ~= KNOWN_EPOCH then return {'moved', 'the epoch is ' .. epoch, 0, '', 0, '', '', 0} end
  if h[3] and tonumber(h[3]) <= NOW then return {'moved', 'it has expired', 0, '', 0, '', '', 0} end
  local tail, tail_id, top = KNOWN_SEQ, KNOWN_ID, TOP
  if h[2] then return {'closed', 'is closed', 0, epoch, tail, tail_id, top, 0} end
  local creates = epoch == ''
  local behind = redis.call('XRANGE', STREAM, creates and '-' or tail_id, '+', 'COUNT', 2)
  if creates then
    if redis.call('EXISTS', STREAM) == 1 then
      return {'moved', 'others have begun its stream', 0, '', 0, '', '', 0}
    end
    redis.call('ZCARD', INDEX)
    epoch = FRESH .. '.1'
  elseif #behind ~= (tail == 0 and 0 or 1) or (tail > 0 and behind[1][1] ~= tail_id) or
         redis.call('XLEN', STREAM) ~= LENGTH then
    -- Others have added, trimmed or worse.
    local now = observe()
    if now[1] == 0 or now[2] ~= epoch then
      return {'moved', 'the log was replaced', 0, '', 0, '', '', 0}
    end
    tail, tail_id, top = now[4], now[5], now[11]
  end
  local ms, n = top:match('^(%d+)-(%d+)$')
  if #ms > 15 then
    return {'store_failed', 'its ids leave no room for more', 0, epoch, tail, tail_id, top, 0}
  end
  if #n > 15 then ms, n = tonumber(ms) + 1, -1 else ms, n = tonumber(ms), tonumber(n) end
  local code, detail, expected, landed = 'ok', '', 0, {}
  local closes, deadline, wrote = false, '', false
  for i = 1, tonumber(ARGV[16]) do
    local producer, pepoch, number, fingerprint = take(), tonumber(take()), take(), take()
    local sseq, closing, expires = take(), take() == '1', take()
    local pms, pn, count = tonumber(take()), tonumber(take()), tonumber(take())
    local slot, row, known = nil, nil, nil
    if producer ~= '' then
      local internal = producer:sub(1, 1) == '~'
      local value = tonumber(number)
      slot = producer .. '\n' .. int(value % 257)
      local got = redis.call('HMGET', PRODUCERS, producer, slot)
      if got[2] then
        local e, x, s, c, id, at = got[2]:match('^(%d+) (%d+) (%d+) (%d+) (%d+%-%d+) (%d+)$')
        if x == number and tonumber(e) == pepoch and NOW - tonumber(at) <= (internal and INTERNAL_TTL or TTL) then
          known = {tonumber(s), tonumber(c), id}
        end
      end
      if not internal then
        row = got[1]
        local e, x, print, at
        if row then e, x, print, at = row:match('^(%d+) (%d+) (%d+) (%d+)$') end
        if row and NOW - tonumber(at) <= TTL then
          e, x = tonumber(e), tonumber(x)
          if pepoch < e then
            code, detail, expected = 'producer_epoch', 'a newer epoch was seen', e
          elseif pepoch == e and value <= x and not known then
            code, detail = 'producer_old', 'was appended long ago'
          elseif pepoch == e and value > x + 1 then
            code, detail, expected = 'producer_gap', 'is not the next one', x + 1
          end
        else
          known = nil
        end
      end
    end
    if closes and not known then code, detail = 'closed', 'is closed' end
    if code == 'ok' and not known and sseq ~= '' and not bytes_less(stream_seq, sseq) then
      code, detail = 'stream_seq', 'a later Stream-Seq was taken already'
    end
    if code ~= 'ok' then break end
    local first_id
    if known then
      for _ = 1, count do argument = argument + 1 + tonumber(ARGV[argument + 1]) end
      landed[#landed + 1] = known[1]
      landed[#landed + 1] = known[2]
      landed[#landed + 1] = known[3]
      landed[#landed + 1] = 1
    else
      if count > 0 then
        if pms > ms or (pms == ms and pn > n) then ms, n = pms, pn else n = n + 1 end
        first_id = int(ms) .. '-' .. int(n)
      else
        first_id = tail_id
      end
      landed[#landed + 1] = tail + 1
      landed[#landed + 1] = count
      landed[#landed + 1] = first_id
      landed[#landed + 1] = 0
      for j = 1, count do
        local fields = tonumber(take())
        if j > 1 then n = n + 1 end
        tail_id = int(ms) .. '-' .. int(n)
        local added = redis.pcall('XADD', STREAM, tail_id, unpack(ARGV, argument + 1, argument + fields))
        if type(added) == 'table' and added.err then
          if dirty then error(added) end
          return {'look', added.err, 0, '', 0, '', '', 0}
        end
        dirty = true
        argument = argument + fields
        tail = tail + 1
        redis.call('XADD', FANOUT, '*', 'conversation_id', NAME, 'stream_key', STREAM, 'entry_id', tail_id,
                   'origin', ORIGIN)
      end
      top = int(ms) .. '-' .. int(n)
      if slot then
        local at = int(NOW)
        local rows = {slot, int(pepoch) .. ' ' .. number .. ' ' .. int(landed[#landed - 3]) .. ' ' .. int(count) ..
                            ' ' .. first_id .. ' ' .. at}
        if producer:sub(1, 1) ~= '~' then
          rows[3] = producer
          rows[4] = int(pepoch) .. ' ' .. number .. ' ' .. fingerprint .. ' ' .. at
        end
        -- Here, since the next append may be of the same producer.
        dirty = true
        redis.call('HSET', PRODUCERS, unpack(rows))
      end
      if sseq ~= '' then stream_seq = sseq end
      if closing then closes = true end
      if expires ~= '' then deadline = expires end
      wrote = true
    end
  end
  if wrote or creates then
    dirty = true
    local fields = {'last', int(tail) .. ' ' .. tail_id}
    local function set(name, value)
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
    if creates then
      set('epoch', epoch)
      set('content_type', CONTENT_TYPE)
      set('deleted', '0-0')
      if TTL_S ~= '' then set('ttl_s', TTL_S) end
      redis.call('ZADD', INDEX, 0, NAME)
    end
    if closes then set('closed', int(tail) .. ' ' .. tail_id) end
    if deadline ~= '' then set('expires_ms', deadline) end
    if stream_seq ~= (h[4] or '') then set('stream_seq', stream_seq) end
    redis.call('HSET', LOG, unpack(fields))
    redis.call('PEXPIRE', PRODUCERS, TTL)
    if MAXLEN > 0 then redis.call('XTRIM', STREAM, 'MAXLEN', '~', MAXLEN) end
  end
  return {code, detail, expected, epoch, tail, tail_id, top, redis.call('XLEN', STREAM), unpack(landed)}
end
local whole, result = pcall(run)
if whole then return result end
local why = type(result) == 'table' and result.err or tostring(result)
return {dirty and 'torn' or 'store_failed', why, 0, '', 0, '', '', 0}
)lua";

} // namespace confab::store::redis_scripts
