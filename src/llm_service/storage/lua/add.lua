-- Counts the cost of a ledger's record that no lease stood for, if the budget is known, was seeded without it, and this is new.
--
-- KEYS: the budget, the set of marks that were added to it. ARGV: nano-USD, the record's mark, for how many s to remember it.
-- -> 1, or 0: not counted
local seeded = redis.call('HGET', KEYS[1], 'm')
if not seeded or tonumber(seeded) >= tonumber(ARGV[2]) or redis.call('SADD', KEYS[2], ARGV[2]) == 0 then return 0 end
redis.call('EXPIRE', KEYS[2], ARGV[3])
redis.call('HINCRBY', KEYS[1], 'u', ARGV[1])
return 1
