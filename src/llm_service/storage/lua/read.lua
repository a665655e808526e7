-- Where limits stand.
--
-- KEYS: the limits. ARGV: now ('': the server's), then the kind of each (q, t, c, m).
-- -> used and reserved of each; used is -1 where the budget is not known
local second, states = math.floor(time_of(ARGV[1])), {}
for i, key in ipairs(KEYS) do
  local kind, used, reserved = ARGV[i + 1], 0, 0
  if kind == 'c' then
    used = tonumber(redis.call('GET', key) or 0)
  elseif kind == 'm' then
    local h = redis.call('HMGET', key, 'u', 'r')
    used, reserved = tonumber(h[1]), tonumber(h[2]) or 0
  else
    local w = window(key, second, kind)
    used, reserved = w.s - w.r, w.r
  end
  states[2 * i - 1], states[2 * i] = used or false, reserved
end
return states
