-- What happened to breakers after a version. ARGV[3]: it. -> the newest version, and each breaker that changed, in their order
local news = {newest()}
if news[1] <= tonumber(ARGV[3]) then return news end
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. ARGV[3], '+inf')) do
  local b = find(name)
  if b then news[#news + 1] = told(name, b) end
end
return news
