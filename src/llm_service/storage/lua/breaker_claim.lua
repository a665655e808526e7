-- Claims to be the one that tries a deployment whose breaker is open.
--
-- ARGV[3..]: its name, for how many ms, the newest version that was seen; and for a breaker that is not known: the cause,
--   the pause in ms. -> {1 if it is the one, the breaker}
local name = ARGV[3]
local b = find(name)
if b and b.open == 1 then
  if b.ends > now or taken(b) then return {0, told(name, b)} end
elseif b and b.version > tonumber(ARGV[5]) then
  return {0, told(name, b)}
else
  b = {open = 1, since = now, ends = now, pause = tonumber(ARGV[7]), cause = ARGV[6], tries = '', lease = 0}
  change(name, b)
end
b.tries, b.lease = ME, now + ARGV[4]
keep(name, b)
return {1, told(name, b)}
