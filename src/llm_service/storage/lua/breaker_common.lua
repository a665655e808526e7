-- What the scripts of breakers share.
--
-- KEYS: the breakers (hash: name -> JSON), their versions (sorted set). A breaker is {version, open 1 or 0, since, until
--   when it pauses, its pause, the cause, who tries, which of its tries it is, until when, for how long}; times in ms by
--   the server. A version is about the ms of the change, and each is higher than all before: whoever has read up to one
--   misses nothing.
-- ARGV[1]: the time, only under test; ARGV[2]: who asks.

local KEPT_MS, MOST, SWEEP = 7200000, 4096, 100   -- longer than any pause; more than processes have; a call's housekeeping

local ME, now = ARGV[2], tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local function newest()
  local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')
  return tonumber(last[2]) or 0
end

-- -> the breaker; nil where there is none, or one that nobody of ours has written
local function find(name)
  local text = redis.call('HGET', KEYS[1], name)
  local known, b = pcall(cjson.decode, text or '')
  if not known or type(b) ~= 'table' or #b ~= 10 then return nil end
  b[4], b[9] = math.min(b[4], now + b[5]), math.min(b[9], now + b[10])   -- in case the clock was set back
  return {version = b[1], open = b[2], since = b[3], ends = b[4], pause = b[5], cause = b[6], tries = b[7], number = b[8], lease = b[9], held = b[10]}
end

local function keep(name, b)
  local text = cjson.encode({b.version, b.open, b.since, b.ends, b.pause, b.cause, b.tries, b.number, b.lease, b.held})
  redis.call('HSET', KEYS[1], name, text)
end

local function drop(names)
  if #names == 0 then return end
  redis.call('HDEL', KEYS[1], unpack(names))
  redis.call('ZREM', KEYS[2], unpack(names))
end

-- Keeps a change, and lets go of what is old.
local function change(name, b)
  b.version = math.max(now, newest() + 1)
  keep(name, b)
  redis.call('ZADD', KEYS[2], b.version, name)
  drop(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - KEPT_MS, 'LIMIT', 0, SWEEP))
  local over = redis.call('ZCARD', KEYS[2]) - MOST
  if over > 0 then drop(redis.call('ZRANGE', KEYS[2], 0, over - 1)) end
  redis.call('PEXPIRE', KEYS[1], KEPT_MS)
  redis.call('PEXPIRE', KEYS[2], KEPT_MS)
end

-- Whether somebody tries it now.
local function taken(b) return b.tries ~= '' and b.lease > now end

-- Whether it is that try of the caller's.
local function mine(b, number) return b.tries == ME and b.number == tonumber(number) end

-- A breaker as one is told of it.
local function told(name, b)
  if not b then return {name, 0, 0, 0, 0, 0, ''} end
  local ends = taken(b) and math.max(b.ends, b.lease) or b.ends
  return {name, b.version, b.open, b.since, math.max(0, ends - now), b.pause, b.cause}
end

-- Begins a pause of so many ms.
local function pause(name, b, ms, cause)
  local since = b and b.open == 1 and b.since or now
  b = {open = 1, since = since, ends = now + ms, pause = ms, cause = cause, tries = '', number = 0, lease = 0, held = 0}
  change(name, b)
  return {1, told(name, b)}
end
