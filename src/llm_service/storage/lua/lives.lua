-- Whether a holder has said lately that it lives.
--
-- KEYS: the holders. ARGV: now ('': the server's), holder, for how many s one beat is a sign of life. -> 1 or 0
local beat = redis.call('ZSCORE', KEYS[1], ARGV[2])
return beat and tonumber(beat) >= time_of(ARGV[1]) - ARGV[3] and 1 or 0
