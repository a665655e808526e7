-- Which streams a process is to end.
--
-- KEYS: these (set). ARGV: those of them that have been ended: they are forgotten. -> the others
if #ARGV > 0 then redis.call('SREM', KEYS[1], unpack(ARGV)) end
return redis.call('SMEMBERS', KEYS[1])
