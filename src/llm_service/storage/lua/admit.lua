-- Takes all claims of the callers and of the first candidate with room, or nothing at all. Or, for a fallback: the first
-- candidate with room, in place of what the lease holds of its provider, which is no obstacle to it. The permit of a
-- request that the provider was sent ('next') stays taken. Or takes nothing, and says what it would ('foresee').
--
-- KEYS: the holder's leases, the holders, the lease's tombstone, then the limit of each claim: those of the callers, then of
--   each candidate in order, none twice among the callers and one candidate; for a fallback also the limits that the lease
--   holds of its provider.
-- ARGV: now ('': the server's), holder, lease id, 'admit', 'foresee', 'swap' or 'next', number of candidates, number of the callers' claims,
--   number of each candidate's claims, then for each claim: kind (q, t, c, m), limit, cost (permits, tokens, nano-USD).
-- -> {1, candidate from 0 (-1: there were none), second, what stands against each caller's limit with this}: granted
--    {0, which limit from 0, used, reserved, wait in s (-1: waiting is no use)}: refused
--    {-1, which limit from 0}: it is not known what was spent of this budget
--    {-3}: a fallback of a lease that is not known, or an ask that was given back before it came
--    {-2, keys}: nothing was done; the lease holds other limits than were declared, run again with these as well
local leases, holders, holder, id = KEYS[1], KEYS[2], ARGV[2], ARGV[3]
local fallback = ARGV[4] == 'swap' or ARGV[4] == 'next'
local now, candidates, count_of_callers = time_of(ARGV[1]), tonumber(ARGV[5]), tonumber(ARGV[6])
local second, first_claim = math.floor(now), 7 + candidates

local note = redis.call('HGET', leases, id)
note = note and cmsgpack.unpack(note)
if note and not fallback then return {1, note[1], note[2], unpack(note[3])} end   -- asked twice: the first answer
if not note and (fallback or redis.call('EXISTS', KEYS[3]) == 1) then return {-3} end

-- What the lease holds of its provider, by limit: it is given back together with the taking.
local old, held = {}, {}
local lasting = ARGV[4] == 'next' and 'q' or ''
for at, field in ipairs(fallback and note[5] or {}) do
  if note[5][at - (at - 1) % 5] ~= lasting then old[#old + 1] = field end
end
local missing = undeclared(old)
if #missing > 0 then return {-2, unpack(missing)} end
for at = 1, #old, 5 do
  local kind, key, at_second, e = old[at], old[at + 1], old[at + 3], old[at + 4]
  local counts = kind == 'c' or kind == 'm' or stands(window(key, second, kind), at_second, e)
  held[key] = {cost = counts and tonumber(old[at + 2]) or 0, second = at_second}
end
local NOTHING = {cost = 0}

local function claim(i)
  local at = first_claim + 3 * (i - 1)
  return KEYS[i + 3], ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
end

-- Seconds until so much has left a window that ends with w.t, apart from what the lease holds in it.
local function wait_for(key, w, own, short)
  for ahead, amount in ipairs(redis.call('HMGET', key, unpack(buckets(w.t - SPAN, w.t, '')))) do
    short = short - (tonumber(amount) or 0)
    if ahead + w.t - SLOTS == own.second then short = short + own.cost end
    if short <= 0 then return ahead + w.t - second end
  end
  return SLOTS
end

local windows, total = {}, {}   -- by claim: a window as it was looked at, and what stands against the limit
-- Looks at one claim. -> false when the budget is not known, nil when there is room, else {which limit, used, reserved, wait}
local function look(i)
  local key, kind, limit, cost = claim(i)
  local own, used, reserved, wait = held[key] or NOTHING, 0, 0, 1
  if kind == 'c' then
    used = tonumber(redis.call('GET', key) or 0) - own.cost
  elseif kind == 'm' then
    local h = redis.call('HMGET', key, 'u', 'r')
    if not h[1] then return false end
    used, reserved = tonumber(h[1]), (tonumber(h[2]) or 0) - own.cost
    if used + cost > limit then wait = math.huge end
  else
    local w = window(key, second, kind)
    windows[i], reserved = w, kind == 't' and w.r - own.cost or 0
    used = w.s - own.cost - reserved
  end
  total[i] = used + reserved
  if total[i] + cost <= limit then return nil end
  if cost > limit then wait = math.huge
  elseif windows[i] then wait = wait_for(key, windows[i], own, total[i] + cost - limit) end
  return {i - 1, used, reserved, wait}
end

-- Looks at claims that must all have room. -> nil, {-1, limit}, or the refusal that lasts longest
local function look_at_all(first, count)
  local longest
  for i = first, first + count - 1 do
    local no = look(i)
    if no == false then return nil, {-1, i - 1} end
    if no and (not longest or no[4] > longest[4]) then longest = no end
  end
  return longest
end

local function refusal(no) return {0, no[1], no[2], no[3], no[4] < math.huge and no[4] or -1} end

local no, unknown = look_at_all(1, count_of_callers)
if unknown then return unknown end
if no then return refusal(no) end

local chosen, first, count, soonest = -1, count_of_callers + 1, 0, nil
for rank = 0, candidates - 1 do
  count = tonumber(ARGV[7 + rank])
  no, unknown = look_at_all(first, count)
  if unknown then return unknown end
  if not no then chosen = rank; break end
  if not soonest or no[4] < soonest[4] then soonest = no end
  first = first + count
end
if chosen < 0 and soonest then return refusal(soonest) end
if ARGV[4] == 'foresee' then return {1, chosen, second} end

for at = 1, #old, 5 do settle(old, at, 0) end

-- Takes one claim, and writes it down for whoever settles it.
local function take(i, claims)
  local key, kind, _, cost = claim(i)
  local w = windows[i]
  if kind == 'c' then
    redis.call('SET', key, int(total[i] + cost), 'EX', PRESENCE_KEPT_S)
  elseif kind == 'm' then
    redis.call('HINCRBY', key, 'r', int(cost))
  else
    if held[key] then w = window(key, second, kind) end
    local slot = w.t % SLOTS
    if w.fresh then begin(key, w) end
    if kind == 't' then
      redis.call('HSET', key, 's', int(w.s + cost), 't', int(w.t), slot, int(w.b + cost), 'r', int(w.r + cost), 'r' .. slot, int(w.rb + cost))
    else
      redis.call('HSET', key, 's', int(w.s + cost), 't', int(w.t), slot, int(w.b + cost))
    end
  end
  local n = #claims
  claims[n + 1], claims[n + 2], claims[n + 3], claims[n + 4], claims[n + 5] = kind, key, int(cost), w and w.t or 0, w and w.e or 0
end

local provider, callers, used = {}, {}, {}
for i = 1, count_of_callers do
  take(i, callers)
  used[i] = total[i] + tonumber(callers[5 * i - 2])
end
for i = first, first + count - 1 do take(i, provider) end

if fallback then note[5] = provider else note = {chosen, second, used, callers, provider} end
redis.call('HSET', leases, id, cmsgpack.pack(note))
redis.call('ZADD', holders, 'NX', now, holder)   -- whoever holds leases can be found when it dies, also before it first beats
return {1, chosen, second, unpack(used)}
