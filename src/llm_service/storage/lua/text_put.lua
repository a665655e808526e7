-- KEYS: a text. ARGV: what it is to be, for how many ms.
return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
