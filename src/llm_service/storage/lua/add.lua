-- Counts the cost of a ledger's record that no lease stood for, if it is new and the budget was seeded without it. Where the
-- budget is not known it is remembered for the seed, which may rest on a look at the ledger from before the record came.
--
-- KEYS: the budget, the costs by their marks that were added to it. ARGV: nano-USD, the record's mark, for how many s to
--   remember it.
-- -> 1, or 0: not counted (yet)
local seeded = redis.call('HGET', KEYS[1], 'm')
if seeded and tonumber(seeded) >= tonumber(ARGV[2]) or redis.call('HSETNX', KEYS[2], ARGV[2], ARGV[1]) == 0 then return 0 end
redis.call('EXPIRE', KEYS[2], ARGV[3])
if not seeded then return 0 end
redis.call('HINCRBY', KEYS[1], 'u', ARGV[1])
return 1
