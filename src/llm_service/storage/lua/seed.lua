-- Says what was spent of a budget, unless that is known already.
--
-- KEYS: the budget. ARGV: nano-USD, the mark up to which the ledger's records are in it, Unix second when it may go ('': never).
-- -> 1, or 0: was known
if redis.call('HSETNX', KEYS[1], 'u', ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'm', ARGV[2])
if ARGV[3] ~= '' then redis.call('EXPIREAT', KEYS[1], ARGV[3]) end
return 1
