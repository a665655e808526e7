-- Says which stream a process is to end.
--
-- KEYS: the streams that it is to end (set). ARGV: the stream, for how many ms that stands without further ones.
redis.call('SADD', KEYS[1], ARGV[1])
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
