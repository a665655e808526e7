-- KEYS: the flight. ARGV: what stands in it, if it is still the caller's. -> 1 if it was
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
