-- Keeps an answer, unless a group of it was purged since the look-up. What is over goes, then what is used least.
--
-- ARGV[2..]: digest, blob, its size, for how many ms, how many bytes there may be in all, 'lru' or 'lfu', when the answer was
--   stored (Unix s), number of groups, groups, the epoch of each at the look-up.
-- -> {1, stamp, purges so far}: kept
--    {0}: a group was purged
--    {2}: there is not enough room yet, ask again
local SWEPT, MOST_EVICTED = 20, 200   -- others wait meanwhile

local function put()
  local digest, blob, size, kept_ms, max_bytes = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
  local eviction, stored, count = ARGV[7], ARGV[8], tonumber(ARGV[9])
  local groups, purges, floor, began = arguments(10, 9 + count), totals()
  for i, epoch in ipairs(epochs_of(groups, floor)) do
    if epoch ~= tonumber(ARGV[9 + count + i]) then return {0} end
  end

  local ms = now_ms()
  local function over(most) return redis.call('ZRANGEBYSCORE', EXPIRY, '-inf', int(ms), 'LIMIT', 0, most) end
  for _, one in ipairs(over(SWEPT)) do forget(one) end
  forget(digest)

  for evicted = 0, MOST_EVICTED do
    if tonumber(redis.call('HGET', TOTALS, 'bytes')) + size <= max_bytes then break end
    if evicted == MOST_EVICTED then return {2} end
    local dead = over(1)[1]
    local victim = dead or redis.call('ZRANGE', INDEX, 0, 0)[1]
    local there, known = false, false
    if victim then there, known = forget(victim) end
    if not known then                    -- the sum is not that of the sizes: somebody else has written into it
      begin()
      return {0}
    end
    if there and not dead then redis.call('HINCRBY', TOTALS, 'evictions', 1) end
  end

  local key, stamp = ARGV[1] .. digest, int(began) .. ':' .. redis.call('HINCRBY', TOTALS, 'tick', 1)
  redis.call('HSET', key, 'b', blob, 's', stamp, 'c', int(purges), 'g', cmsgpack.pack(groups), 't', stored)
  redis.call('PEXPIRE', key, int(kept_ms))
  redis.call('ZADD', INDEX, score(eviction), digest)
  redis.call('ZADD', EXPIRY, int(ms + kept_ms), digest)
  redis.call('HSET', SIZES, digest, size)
  redis.call('HINCRBY', TOTALS, 'bytes', size)
  return {1, stamp, purges}
end

return safely(put)
