-- What the scripts below share. All amounts are whole numbers below 2^53: permits, tokens, nano-USD. Times are Unix seconds.
--
-- window (requests 'q', tokens 't'), a hash: s the sum, t its newest second, 0..60 what was taken in the running second
--   and in the 60 whole ones before it (second modulo 61), and for tokens what leases hold of these: r, r0..r60.
--   e: names this beginning of the window; a bucket of before is none of now. It begins with what is taken when it has no
--   bucket, and again when the clock was set back far. So it makes no difference when an empty one is forgotten.
-- concurrency 'c', a number. money 'm', a hash: u settled, r reserved, m the mark of the seed; absent means unknown.
-- leases of a holder, a hash: lease id -> its note {candidate, second, used, callers, provider}; the last two are the
--   claims, flat, five for each: kind, key, cost, and for windows the second and e of the bucket where it went.
-- tombstone of a lease: it was given back before its grant was heard of, so an ask that comes late must not grant it.
-- holders, a sorted set: holder -> when it last said that it lives.

local SPAN, SLOTS = 60, 61
local FIELDS_OF_EMPTY = 4       -- s, t, e, r
local WINDOW_KEPT_S = 180       -- housekeeping only: a window that nobody asks for is empty long before
local PRESENCE_KEPT_S = 86400   -- longer than any request lasts
local TOMBSTONE_KEPT_S = 600    -- longer than an ask lies in the socket of a server that hangs

-- A number as Redis takes it. Redis 7.0 would write a large one as 1e+15. (And none takes '-0': 0 - x, never -x.)
local function int(x)
  if x < 1e14 and x > -1e14 then return x end
  return ('%.0f'):format(x)
end

local microsecond
-- When this script began, by the server.
local function server_us()
  if not microsecond then
    local now = redis.call('TIME')
    microsecond = now[1] * 1e6 + now[2]
  end
  return microsecond
end

-- The given time (only under test), else the server's: hosts' clocks differ.
local function time_of(given)
  if given ~= '' then return tonumber(given) end
  return server_us() / 1e6
end

-- The names of the buckets of the seconds first..last.
local function buckets(first, last, letter)
  local names = {}
  for second = first, last do names[#names + 1] = letter .. second % SLOTS end
  return names
end

-- Takes buckets that the window has left out of a sum. -> what they held
local function drop(key, names)
  local held = 0
  for _, amount in ipairs(redis.call('HMGET', key, unpack(names))) do held = held + (tonumber(amount) or 0) end
  redis.call('HDEL', key, unpack(names))
  return held
end

-- The window that begins with what is taken from it at second `now`.
local function fresh_window(now) return {s = 0, t = now, e = 0, b = 0, r = 0, rb = 0, fresh = true} end

-- A window as it stands at second `now` -> {s, r sums, t newest second, e, b, rb the newest bucket, fresh: it begins now}
local function window(key, now, kind)
  local slot = now % SLOTS
  local h = kind == 't' and redis.call('HMGET', key, 's', 't', 'e', slot, 'r', 'r' .. slot) or redis.call('HMGET', key, 's', 't', 'e', slot)
  local t = tonumber(h[2])
  if not t then return fresh_window(now) end
  local w = {s = tonumber(h[1]), t = t, e = tonumber(h[3]), b = tonumber(h[4]) or 0, r = tonumber(h[5]) or 0, rb = tonumber(h[6]) or 0}
  if t == now then return w end
  if t > now and t - now <= SPAN then            -- set back a little: the newest bucket is used until the clock is there again
    h = redis.call('HMGET', key, t % SLOTS, 'r' .. t % SLOTS)
    w.b, w.rb = tonumber(h[1]) or 0, tonumber(h[2]) or 0
    return w
  end
  if t > now then                                -- set back by more: keep the sum as if all of it had been used now
    w.b, w.r, w.rb, w.e = w.s, 0, 0, w.e + 1
    redis.call('DEL', key)
    redis.call('HSET', key, slot, int(w.b))
  else
    local idle = now - t > SPAN
    if not idle then
      w.s, w.b, w.rb = w.s - drop(key, buckets(t + 1, now, '')), 0, 0
      if kind == 't' then w.r = w.r - drop(key, buckets(t + 1, now, 'r')) end
      idle = w.s == 0 and redis.call('HLEN', key) == FIELDS_OF_EMPTY
    end
    if idle then
      redis.call('DEL', key)
      return fresh_window(now)
    end
  end
  w.t = now
  redis.call('HSET', key, 's', int(w.s), 't', int(now), 'e', int(w.e), 'r', int(w.r))
  redis.call('EXPIRE', key, WINDOW_KEPT_S)
  return w
end

-- Begins a fresh window, with its first bucket still to be written. By the server's microsecond, which is none of before
-- even where the window was forgotten.
local function begin(key, w)
  w.e = server_us()
  redis.call('HSET', key, 'e', int(w.e), 'r', 0)
  redis.call('EXPIRE', key, WINDOW_KEPT_S)
end

-- Whether what was taken at a second, in the e-th beginning of a window, still stands in it.
local function stands(w, second, e)
  return w.e == tonumber(e) and tonumber(second) <= w.t and w.t - second <= SPAN
end

-- Puts `real` in place of the `cost` of one claim of a note, from the `at`-th field on. real: permits, tokens or nano-USD
local function settle(claims, at, real)
  local kind, key, cost = claims[at], claims[at + 1], claims[at + 2]
  if kind == 'c' then
    if redis.call('DECRBY', key, cost) <= 0 then redis.call('DEL', key) end
  elseif kind == 'm' then
    local h = redis.call('HMGET', key, 'u', 'r')
    if h[1] then redis.call('HSET', key, 'u', int(h[1] + real), 'r', int((h[2] or 0) - cost)) end
  elseif kind == 't' or real ~= tonumber(cost) then
    local second, e = claims[at + 3], claims[at + 4]
    local slot = second % SLOTS
    local h = redis.call('HMGET', key, 't', 'e', 's', slot, 'r', 'r' .. slot)
    if h[1] and stands({t = tonumber(h[1]), e = tonumber(h[2])}, second, e) then
      local change = real - cost
      if kind == 't' then
        redis.call('HSET', key, 's', int(h[3] + change), slot, int(h[4] + change), 'r', int(h[5] - cost), 'r' .. slot, int(h[6] - cost))
      else
        redis.call('HSET', key, 's', int(h[3] + change), slot, int(h[4] + change))
      end
    end
  end
end

-- The keys of notes that KEYS does not declare, so that they can be declared when the script is run again. -> list, empty if none
local function undeclared(...)
  local declared, missing = {}, {}
  for _, key in ipairs(KEYS) do declared[key] = true end
  for _, claims in ipairs({...}) do
    for at = 2, #claims, 5 do
      if not declared[claims[at]] then
        declared[claims[at]] = true
        missing[#missing + 1] = claims[at]
      end
    end
  end
  return missing
end
