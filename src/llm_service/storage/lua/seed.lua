-- Says what was spent of a budget, unless that is known already.
--
-- KEYS: the budget, the costs by their marks that were added to it.
-- ARGV: nano-USD, the mark up to which the ledger's records are in it, Unix second when it may go ('': never).
-- -> 1, or 0: was known
if redis.call('HEXISTS', KEYS[1], 'u') == 1 then return 0 end
local used, added = tonumber(ARGV[1]), redis.call('HGETALL', KEYS[2])
for at = 1, #added, 2 do   -- records that came between the reading of the ledger and this
  if tonumber(added[at]) > tonumber(ARGV[2]) then used = used + tonumber(added[at + 1]) end
end
redis.call('HSET', KEYS[1], 'u', ('%.0f'):format(used), 'm', ARGV[2])
if ARGV[3] ~= '' then redis.call('EXPIREAT', KEYS[1], ARGV[3]) end
return 1
