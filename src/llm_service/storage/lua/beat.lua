-- Says that a holder lives.
--
-- KEYS: the holders, the holder's leases. ARGV: now ('': the server's), holder, for how many s one beat is a sign of life,
--   for how many s the leases are kept without any (housekeeping: those of a memory that is gone are asked for by nobody).
-- -> how many holders live
local now = time_of(ARGV[1])
redis.call('ZADD', KEYS[1], now, ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[4])
return redis.call('ZCOUNT', KEYS[1], now - ARGV[3], '+inf')
