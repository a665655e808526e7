-- Claims to be the one that tries a deployment whose breaker is open. A later try of the caller's takes the place of its last one.
--
-- ARGV[3..]: its name, which of the caller's tries it is, for how many ms, the newest version that was seen; and for a breaker
--   that is not known: the cause, the pause in ms. -> {1 if it is the one, the breaker}
local name, number = ARGV[3], tonumber(ARGV[4])
local b = find(name)
if b and b.open == 1 then
  local again = b.tries == ME and number > b.number
  if b.ends > now or taken(b) and not again then return {0, told(name, b)} end
elseif b and b.version > tonumber(ARGV[6]) then
  return {0, told(name, b)}
else
  b = {open = 1, since = now, ends = now, pause = tonumber(ARGV[8]), cause = ARGV[7], tries = '', number = 0, lease = 0, held = 0}
  change(name, b)
end
b.tries, b.number, b.lease, b.held = ME, number, now + ARGV[5], tonumber(ARGV[5])
keep(name, b)
return {1, told(name, b)}
