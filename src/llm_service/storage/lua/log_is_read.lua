-- Whether somebody has read a log a moment ago; a log of which nobody has is left: its flight is anybody's from now on.
--
-- KEYS: the mark of its readers, its facts. ARGV: for how many ms it is known that it is left. -> 1 if somebody has
if redis.call('EXISTS', KEYS[1]) == 1 then return 1 end
redis.call('HSET', KEYS[2], 'left', 1)
redis.call('PEXPIRE', KEYS[2], ARGV[1])
return 0
