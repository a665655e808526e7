-- Forgets a holder that has not beaten since.
--
-- KEYS: the holders, the holder's leases. ARGV: holder, when it last beat (text). -> 1, or 0: it lives, or still holds leases
if redis.call('ZSCORE', KEYS[1], ARGV[1]) ~= ARGV[2] or redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
return redis.call('ZREM', KEYS[1], ARGV[1])
