-- How full the cache is. ARGV[2]: how many answers were refused just now because they are too large.
-- -> {entries, bytes, evictions, refused so far}; what has expired counts until it is swept
local function sizes()
  totals()
  local refused = redis.call('HINCRBY', TOTALS, 'too_large', ARGV[2])
  local h = redis.call('HMGET', TOTALS, 'bytes', 'evictions')
  return {redis.call('ZCARD', INDEX), tonumber(h[1]), tonumber(h[2]), refused}
end

return safely(sizes)
