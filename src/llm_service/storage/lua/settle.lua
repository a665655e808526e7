-- Settles leases, each once: what was used in place of what was held.
--
-- KEYS: the holder's leases, the tombstone that a lease gets which is not known, then every limit that the leases stand in.
-- ARGV: 'real' (what was used), 'back' (everything is given back) or 'held' (as if all that is held had been used),
--   tokens and nano-USD that were really used, '1' if the provider was called (else its part is given back), '1' if its
--   grant was perhaps never heard of (then the tombstone is set), lease ids: more than one only without a tombstone.
-- -> {1, how many of the leases were known, and are settled now}
--    {-2, keys}: nothing was done; the leases stand in other limits than were declared, run again with these
local leases, mode, tokens, nano_usd = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local called, unheard = ARGV[4] == '1', ARGV[5] == '1'

local notes, parts = {}, {}
for i = 6, #ARGV do
  local note = redis.call('HGET', leases, ARGV[i])
  if note then
    note = cmsgpack.unpack(note)
    notes[ARGV[i]] = note
    parts[#parts + 1], parts[#parts + 2] = note[4], note[5]
  elseif unheard then
    redis.call('SET', KEYS[2], '', 'EX', TOMBSTONE_KEPT_S)
  end
end
local missing = undeclared(unpack(parts))
if #missing > 0 then return {-2, unpack(missing)} end

local function settle_part(claims, back)
  for at = 1, #claims, 5 do
    local kind, cost = claims[at], tonumber(claims[at + 2])
    local real = cost                                   -- a request was a request
    if back or kind == 'c' then real = 0
    elseif mode == 'real' and kind == 't' then real = tokens
    elseif mode == 'real' and kind == 'm' then real = nano_usd end
    settle(claims, at, real)
  end
end

local settled = 0
for id, note in pairs(notes) do
  redis.call('HDEL', leases, id)
  settle_part(note[4], mode == 'back')
  settle_part(note[5], mode == 'back' or mode == 'real' and not called)
  settled = settled + 1
end
return {1, settled}
