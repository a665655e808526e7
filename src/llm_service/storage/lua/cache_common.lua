-- What the scripts of the response cache share. Times are the server's, in ms; sizes are in bytes.
--
-- KEYS of all scripts, in this order; ARGV[1] is how an entry's key begins, its digest in hex follows.
--   index, a sorted set: digest -> when it was used, see `score`. Who is lowest goes first.
--   expiry, a sorted set: digest -> ms when it is over. The key of an entry expires by itself; its place here is swept.
--   sizes, a hash: digest -> size. totals, a hash: bytes (the sum of these), evictions, too_large, and
--     purges: how many there were, by which each has a number; floor: the newest number that is not remembered by its group;
--     tick: how many entries were put; began: the microsecond when all this was last begun anew. Purges are numbered from
--     there on, so that no number of before comes again.
--   epochs, a sorted set: group -> the number of its last purge.
-- An entry, a hash: b its blob, s its stamp, g its groups (packed), t when its answer was stored (Unix s), c the number of
--   the newest purge that it is known to have outlived. An entry that is not in the index is none.
-- Keys of entries that must go are not declared: they are known from the index alone, and are in the slot of all others.
-- That of the entry which a script is about comes last.
local INDEX, EXPIRY, SIZES, TOTALS, EPOCHS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

local HALF_LIFE_S = 600   -- after which a use counts half

-- A number as Redis takes it: Redis 7.0 would write a large one as 1e+15, and Lua any.
local function int(x) return ('%.0f'):format(x) end

local clock
-- When this script began, by the server. -> s, microseconds
local function time()
  clock = clock or redis.call('TIME')
  return tonumber(clock[1]), tonumber(clock[2])
end

local function now_ms()
  local s, us = time()
  return s * 1000 + math.floor(us / 1000)
end

-- Begins with an empty cache. What it held is found by nobody any more, and expires. -> the number of purges so far
local function begin()
  local s, us = time()
  local number = s * 1e6 + us
  local text = int(number)
  redis.call('UNLINK', unpack(KEYS))
  redis.call('HSET', TOTALS, 'began', text, 'purges', text, 'floor', text, 'tick', 0, 'bytes', 0, 'evictions', 0, 'too_large', 0)
  return number
end

-- -> purges, floor, began
local function totals()
  local h = redis.call('HMGET', TOTALS, 'purges', 'floor', 'began', 'bytes')
  local purges, floor, began, bytes = tonumber(h[1]), tonumber(h[2]), tonumber(h[3]), tonumber(h[4])
  if purges and floor and began and bytes then return purges, floor, began, bytes end
  local number = begin()
  return number, number, number, 0
end

-- ARGV from the first to the last of these.
local function arguments(first, last)
  local list = {}
  for i = first, last do list[#list + 1] = ARGV[i] end
  return list
end

-- Where groups stand, in their order.
local function epochs_of(groups, floor)
  if #groups == 0 then return {} end
  local epochs = redis.call('ZMSCORE', EPOCHS, unpack(groups))
  for i = 1, #groups do epochs[i] = tonumber(epochs[i] or floor) end
  return epochs
end

-- A group's answers of before are none any more; so many groups are remembered, half of them are forgotten beyond that.
local function begin_epoch(group, number, remembered)
  redis.call('ZADD', EPOCHS, int(number), group)
  if redis.call('ZCARD', EPOCHS) > tonumber(remembered) then
    local oldest = redis.call('ZPOPMIN', EPOCHS, math.floor(remembered / 2))
    redis.call('HSET', TOTALS, 'floor', oldest[#oldest])
  end
end

-- Takes an entry out. -> whether it was still there, its size if that was known
local function forget(digest)
  local size = redis.call('HGET', SIZES, digest)
  if size then
    redis.call('HINCRBY', TOTALS, 'bytes', '-' .. size)
    redis.call('HDEL', SIZES, digest)
    redis.call('ZREM', INDEX, digest)
    redis.call('ZREM', EXPIRY, digest)
  end
  return redis.call('UNLINK', ARGV[1] .. digest) == 1, size
end

-- What an entry says of itself. -> stamp, purges outlived, packed groups, when stored; nothing if it is not there, or damaged
local function read(digest)
  local h = redis.pcall('HMGET', ARGV[1] .. digest, 's', 'c', 'g', 't')
  local outlived, stored = tonumber(h[2]), tonumber(h[4])
  if h[1] and outlived and h[3] and stored then return h[1], outlived, h[3], stored end
end

-- The groups of an entry, none when they are damaged.
local function groups_of(packed)
  local whole, groups = pcall(cmsgpack.unpack, packed)
  return whole and type(groups) == 'table' and groups or {}
end

-- Whether no group of an entry was purged since it was put. Remembers that it was not.
local function stands(digest, outlived, packed, purges, floor)
  if outlived == purges then return true end
  local groups = groups_of(packed)
  if #groups == 0 then return false end
  for _, epoch in ipairs(epochs_of(groups, floor)) do
    if epoch > outlived then return false end
  end
  redis.call('HSET', ARGV[1] .. digest, 'c', int(purges))
  return true
end

-- The place of what is used now: the time in half-lives. For 'lfu' each use halves its weight in one of these, and the score
-- is the binary logarithm of all weights, so scores of any moments can be compared, and those of both kinds.
local function score(eviction, before)
  local s, us = time()
  local now = (s + us / 1e6) / HALF_LIFE_S
  if eviction ~= 'lfu' or not before then return now end
  local more, less = math.max(before, now), math.min(before, now)
  return more + math.log(1 + 2 ^ (less - more)) / math.log(2)
end

-- Whether an error says that somebody else has written into our keys; else it is of a store that cannot work now.
local function is_damage(said)
  for _, words in ipairs({'WRONGTYPE', 'not an integer', 'not a float', 'not a valid float', 'attempt to', 'overflow'}) do
    if string.find(said, words, 1, true) then return true end
  end
end

-- Does the work; where our keys are damaged, once more with an empty cache.
local function safely(work)
  local done, answer = pcall(work)
  if done then return answer end
  if not is_damage(type(answer) == 'table' and answer.err or tostring(answer)) then error(answer) end
  begin()
  return work()
end
