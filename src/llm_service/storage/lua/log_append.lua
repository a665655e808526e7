-- Appends to logs of generations; what is ended longest ago goes when all ended ones take too much, a bounded number of logs
-- at once: the others wait meanwhile, and the next ones to end take the rest away. An ended log stays as it is: whoever has
-- not heard that it was written says its end again.
--
-- KEYS: ended (sorted set: log -> ms of its end), sizes (hash: ended log -> bytes with LOG_BYTES, and '' the sum of these), then for each
--   log its list of events and its facts (hash: holder, head, end, bytes, cut).
-- ARGV: bytes that all ended may have, bytes that one may have, ms that a running one is kept without news, ms that an
--   ended one is kept, how the keys of logs begin, then for each log: its id, holder, head ('': known), end ('': goes on),
--   number of its first event here, number of events, events.
local ended, sizes = KEYS[1], KEYS[2]
local all_bytes, one_bytes, running_ms, ended_ms, base = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local MOST_GONE = 100   -- logs that one call forgets
local LOG_BYTES = 512   -- what a log takes beside its events
local gone = 0

-- Forgets ended logs, the first to end first, until `room` is there. Their keys expire by themselves besides.
local function make_room(room)
  while gone < MOST_GONE do
    local sum = tonumber(redis.call('HGET', sizes, '') or 0)
    local oldest = redis.call('ZRANGE', ended, 0, 0, 'WITHSCORES')
    if not oldest[1] then return end
    if sum + room <= all_bytes and tonumber(oldest[2]) + ended_ms > now then return end
    gone = gone + 1
    redis.call('ZREM', ended, oldest[1])
    redis.call('HINCRBY', sizes, '', '-' .. (redis.call('HGET', sizes, oldest[1]) or 0))
    redis.call('HDEL', sizes, oldest[1])
    redis.call('UNLINK', base .. oldest[1], base .. oldest[1] .. ':facts')
  end
end

-- Appends what stands in ARGV from `at` on to one log.
local function append(events, facts, at)
  local id, holder, head, last, first, count = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  local said = redis.call('HMGET', facts, 'bytes', 'cut', 'end')
  local bytes, cut = tonumber(said[1] or 0) or 0, said[2]
  if said[3] then return end
  local there = redis.call('LLEN', events) - first + 1   -- events that are said again: the writer has not heard that they were written
  if there < 0 then cut = 1 end   -- some are lost
  for i = at + 6 + math.max(there, 0), at + 5 + count do
    cut = cut or (bytes + #ARGV[i] > one_bytes and 1)
    if cut then break end
    bytes = bytes + #ARGV[i]
    redis.call('RPUSH', events, ARGV[i])
  end
  redis.call('HSET', facts, 'holder', holder, 'bytes', bytes)
  if cut then redis.call('HSET', facts, 'cut', 1) end
  if head ~= '' then redis.call('HSET', facts, 'head', head) end
  local kept_ms = running_ms
  if last ~= '' then
    kept_ms = ended_ms
    local size = bytes + LOG_BYTES
    make_room(size)
    redis.call('HSET', facts, 'end', last)
    redis.call('ZADD', ended, now, id)
    redis.call('HSET', sizes, id, size)
    redis.call('HINCRBY', sizes, '', size)
  end
  redis.call('PEXPIRE', events, kept_ms)
  redis.call('PEXPIRE', facts, kept_ms)
end

local at = 6
for key = 3, #KEYS, 2 do
  append(KEYS[key], KEYS[key + 1], at)
  at = at + 6 + ARGV[at + 5]
end
return 1
