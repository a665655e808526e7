-- Settles leases, each once: what was used in place of what was held.
--
-- KEYS: the holder's leases, then every limit that these leases stand in.
-- ARGV: 'real' (what was used), 'back' (everything is given back) or 'held' (as if all that is held had been used),
--   tokens and nano-USD that were really used, '1' if the provider was called (else its part is given back), lease ids.
-- -> {1, how many leases were settled, and were whole}: a lease that is not known, or whose callers' part was lost, is not counted
--    {-2, keys}: nothing was done; the leases stand in other limits than were declared, run again with these
local leases, mode, tokens, nano_usd, called = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'

local notes, parts = {}, {}
for i = 5, #ARGV do
  local note = redis.call('HGET', leases, ARGV[i])
  if note then
    note = cmsgpack.unpack(note)
    notes[ARGV[i]] = note
    parts[#parts + 1], parts[#parts + 2] = note[5], note[6]
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

local whole = 0
for id, note in pairs(notes) do
  redis.call('HDEL', leases, id)
  settle_part(note[5], mode == 'back')
  settle_part(note[6], mode == 'back' or mode == 'real' and not called)
  whole = whole + note[3]
end
return {1, whole}
