// The bodies of the append scripts, those of the hot path.
#pragma once

#include <string_view>

namespace confab::store::redis_scripts {

inline constexpr std::string_view append_body = R"lua(
local call = redis.call
local FANOUT, NOW_TEXT = KEYS[6], ARGV[2]
local TOP, CONTENT_TYPE, MAXLEN, ORIGIN = ARGV[8], ARGV[9], tonumber(ARGV[10]), ARGV[11]
local TTL, INTERNAL_TTL, TTL_S, LENGTH = tonumber(ARGV[12]), tonumber(ARGV[13]), ARGV[14], tonumber(ARGV[15])
local APPENDS, KEPT = tonumber(ARGV[16]), ARGV[17]
local dirty, rows = false, {}
-- As `int`, and cheaper where Lua's own way is exact.
local function text(x) return x < 1e14 and x .. '' or int(x) end
local function bytes_less(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = a:byte(i), b:byte(i)
    if x ~= y then return x < y end
  end
  return #a < #b
end
local function refused(code, detail) return {code, detail, 0, '', 0, '', '', 0, 0} end
local function run()
  local h = call('HMGET', LOG, 'epoch', 'closed', 'expires_ms', 'stream_seq', 'gone')
  call('XLEN', FANOUT)
  local known_rows = APPENDS > 0 and call('HMGET', PRODUCERS, unpack(ARGV, 18, 17 + 2 * APPENDS)) or {}
  local epoch, stream_seq = h[1] or '', h[4] or ''
  if epoch ~= KNOWN_EPOCH then return refused('moved', 'the epoch is ' .. epoch) end
  if h[5] then return refused('gone', 'is kept for its forks only') end
  if h[3] and tonumber(h[3]) <= NOW then return refused('moved', 'it has expired') end
  local tail, tail_id, top = KNOWN_SEQ, KNOWN_ID, TOP
  if h[2] then return {'closed', 'is closed', 0, epoch, tail, tail_id, top, 0, 0} end
  local creates, plain = epoch == '', true
  if creates then
    if call('XLEN', STREAM) > 0 or call('EXISTS', STREAM) == 1 then return refused('moved', 'others have begun its stream') end
    call('ZCARD', INDEX)
    epoch = FRESH .. '.1'
  else
    local behind = call('XRANGE', STREAM, tail_id, '+', 'COUNT', 2)
    if #behind ~= (tail == 0 and 0 or 1) or (tail > 0 and behind[1][1] ~= tail_id) or
       call('XLEN', STREAM) ~= LENGTH then
      -- Others have added, trimmed or worse.
      local now = observe()
      if now[1] == 0 or now[2] ~= epoch then return refused('moved', 'the log was replaced') end
      tail, tail_id, top, plain = now[4], now[5], now[11], false
    end
  end
  local ms, n = top:match('^(%d+)-(%d+)$')
  if #ms > 15 then return {'store_failed', 'its ids leave no room', 0, epoch, tail, tail_id, top, 0, 0} end
  if #n > 15 then ms, n = tonumber(ms) + 1, -1 else ms, n = tonumber(ms), tonumber(n) end
  local code, detail, expected, committed, landed = 'ok', '', 0, 0, {}
  local closes, deadline, slots, numbers = false, '', {}, {}
  local at = 17 + 2 * APPENDS
  for i = 1, APPENDS do
    local producer, slot = ARGV[16 + 2 * i], ARGV[17 + 2 * i]
    local pepoch, number, fingerprint = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    local sseq, closing, expires = ARGV[at + 4], ARGV[at + 5] == '1', ARGV[at + 6]
    local id, count = ARGV[at + 7], tonumber(ARGV[at + 10])
    local mark, known, internal = pepoch .. ' ' .. number .. ' ', nil, false
    if slot ~= '' then
      internal = slot:sub(1, 1) == '~'
      local row = not internal and (numbers[producer] or known_rows[2 * i - 1])
      if row then
        local e, x, _, since = row:match('^(%d+) (%d+) (%d+) (%d+)$')
        if NOW - tonumber(since) <= TTL then
          e, x = tonumber(e), tonumber(x)
          local its, value = tonumber(pepoch), tonumber(number)
          if its < e then
            code, detail, expected = 'producer_epoch', 'a newer epoch was seen', e
          elseif its == e and value <= x then
            code, detail = 'producer_old', 'was appended long ago'
          elseif its == e and value > x + 1 then
            code, detail, expected = 'producer_gap', 'is not the next one', x + 1
          end
        else
          row = nil
        end
      end
      local value = slots[slot] or known_rows[2 * i]
      if (row or internal) and value and value:sub(1, #mark) == mark then
        local seq, entries, first, since = value:match('^(%d+) (%d+) (%d+%-%d+) (%d+)$', #mark + 1)
        if NOW - tonumber(since) <= (internal and INTERNAL_TTL or TTL) then
          known = {tonumber(seq), tonumber(entries), first}
          if code == 'producer_old' then code, detail = 'ok', '' end
        end
      end
    end
    if closes and not known then code, detail = 'closed', 'is closed' end
    if code == 'ok' and not known and sseq ~= '' and not bytes_less(stream_seq, sseq) then
      code, detail = 'stream_seq', 'a later Stream-Seq was taken already'
    end
    if code ~= 'ok' then break end
    local next_landed = 4 * committed
    if known then
      at = at + 10
      for _ = 1, count do at = at + 1 + tonumber(ARGV[at + 1]) end
      landed[next_landed + 1], landed[next_landed + 2] = known[1], known[2]
      landed[next_landed + 3], landed[next_landed + 4] = known[3], 1
      plain = false
    else
      if count > 0 then
        local pms, pn = tonumber(ARGV[at + 8]), tonumber(ARGV[at + 9])
        if pms > ms or (pms == ms and pn > n) then
          ms, n = pms, pn
        else
          n, plain = n + 1, false
          id = text(ms) .. '-' .. text(n)
        end
      else
        id = tail_id
      end
      landed[next_landed + 1], landed[next_landed + 2] = tail + 1, count
      landed[next_landed + 3], landed[next_landed + 4] = id, 0
      local value = mark .. text(tail + 1) .. ' ' .. count .. ' ' .. id .. ' ' .. NOW_TEXT
      at = at + 10
      for j = 1, count do
        if j > 1 then
          n = n + 1
          id = text(ms) .. '-' .. text(n)
        end
        local fields = tonumber(ARGV[at + 1])
        if dirty then
          call('XADD', STREAM, id, unpack(ARGV, at + 2, at + 1 + fields))
        else
          local added = redis.pcall('XADD', STREAM, id, unpack(ARGV, at + 2, at + 1 + fields))
          if type(added) == 'table' then return refused('look', added.err) end
          dirty = true
        end
        at = at + 1 + fields
        tail, tail_id = tail + 1, id
        call('XADD', FANOUT, '*', 'conversation_id', NAME, 'stream_key', STREAM, 'entry_id', id, 'origin', ORIGIN)
      end
      if count > 0 then top = id end
      if slot ~= '' then
        local next_row = #rows
        rows[next_row + 1], rows[next_row + 2] = slot, value
        slots[slot] = value
        if not internal then
          numbers[producer] = mark .. fingerprint .. ' ' .. NOW_TEXT
          rows[next_row + 3], rows[next_row + 4] = producer, numbers[producer]
        end
      end
      if sseq ~= '' then stream_seq = sseq end
      if closing then closes = true end
      if expires ~= '' then deadline = expires end
    end
    committed = committed + 1
  end
  if committed > 0 or creates then
    dirty = true
    local fields = {'last', text(tail) .. ' ' .. tail_id}
    local function set(name, value)
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
    if creates then
      set('epoch', epoch)
      set('content_type', CONTENT_TYPE)
      set('deleted', '0-0')
      if TTL_S ~= '' then set('ttl_s', TTL_S) end
      call('ZADD', INDEX, 0, NAME)
    end
    if closes then set('closed', text(tail) .. ' ' .. tail_id) end
    if deadline ~= '' then set('expires_ms', deadline) end
    if stream_seq ~= (h[4] or '') then set('stream_seq', stream_seq) end
    call('HSET', LOG, unpack(fields))
    if MAXLEN > 0 then call('XTRIM', STREAM, 'MAXLEN', '~', MAXLEN) end
  end
  return {code, detail, expected, epoch, tail, tail_id, top, call('XLEN', STREAM), committed,
          unpack(plain and {} or landed)}
end
local whole, result = pcall(run)
if #rows > 0 then
  call('HSET', PRODUCERS, unpack(rows))
  call('PEXPIRE', PRODUCERS, KEPT)
end
if whole then return result end
local why = type(result) == 'table' and result.err or tostring(result)
return refused(dirty and 'torn' or 'store_failed', why)
)lua";

inline constexpr std::string_view plain_append_body = R"lua(#!lua
local STREAM, LOG, PRODUCERS, FANOUT = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local A, call = ARGV, redis.call
local NAME, TAIL_ID, LENGTH, ORIGIN = A[1], A[3], tonumber(A[4]), A[6]
local SLOTS, ROWS = A[9] + 0, A[9] + A[10]
local h = call('HMGET', LOG, 'epoch', 'closed', 'expires_ms', 'gone')
if h[1] ~= A[2] or h[2] or h[3] or h[4] then return 0 end
local behind = call('XRANGE', STREAM, TAIL_ID, '+', 'COUNT', 2)
if #behind ~= 1 or behind[1][1] ~= TAIL_ID or call('XLEN', STREAM) ~= LENGTH then return 0 end
local at = 11 + 2 * ROWS
local names = {}
for i = 1, ROWS do names[i] = A[10 + 2 * i] end
local known = call('HMGET', PRODUCERS, unpack(names))
for i = 1, ROWS do
  local before = known[i]
  if before then
    if i > SLOTS then
      local wanted = A[at + i - SLOTS]
      if before:sub(1, #wanted) ~= wanted then return 0 end
    else
      local value = A[11 + 2 * i]
      local _, mark = value:find('^%d+ %d+ ')
      if before:sub(1, mark) == value:sub(1, mark) then return 0 end
    end
  end
end
local first, stop = at + ROWS - SLOTS + 1, #A
-- The first two can fail where others have changed a key: then no entry was written.
local id = A[first]
local pointer = redis.pcall('XADD', FANOUT, '*', 'conversation_id', NAME, 'stream_key', STREAM, 'entry_id', id, 'origin', ORIGIN)
if type(pointer) == 'table' then return 0 end
local function add(at)
  local more = A[at + 4] + 0
  if more == 0 then
    return redis.pcall('XADD', STREAM, A[at], 'payload', A[at + 1], 'conversation_id', NAME, 'sender_id', A[at + 2],
                       'timestamp', A[at + 3]), at + 5
  end
  return redis.pcall('XADD', STREAM, A[at], 'payload', A[at + 1], 'conversation_id', NAME, 'sender_id', A[at + 2],
                     'timestamp', A[at + 3], unpack(A, at + 5, at + 4 + more)), at + 5 + more
end
local entry
entry, at = add(first)
if type(entry) == 'table' then return 0 end
LENGTH = LENGTH + 1
local whole, why = pcall(function()
  while at < stop do
    id = A[at]
    entry, at = add(at)
    if type(entry) == 'table' then error(entry) end
    LENGTH = LENGTH + 1
    call('XADD', FANOUT, '*', 'conversation_id', NAME, 'stream_key', STREAM, 'entry_id', id, 'origin', ORIGIN)
  end
  call('HSET', LOG, 'last', A[5])
  call('HSET', PRODUCERS, unpack(A, 12, 11 + 2 * ROWS))
  if A[8] ~= '' then call('PEXPIRE', PRODUCERS, A[8]) end
  if A[11] ~= '' then
    -- Longer than any value of a small hash, which Redis goes through from its beginning.
    call('HSET', PRODUCERS, '\n', A[11])
    call('HDEL', PRODUCERS, '\n')
  end
  if A[7] ~= '0' then LENGTH = LENGTH - call('XTRIM', STREAM, 'MAXLEN', '~', A[7]) end
end)
if whole then return LENGTH end
return type(why) == 'table' and why.err or tostring(why)
)lua";

} // namespace confab::store::redis_scripts
