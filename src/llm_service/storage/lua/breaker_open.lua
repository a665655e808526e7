-- Opens a breaker.
--
-- ARGV[3..]: its name, the cause, the pause in ms; then groups: how many of one may be open, how many names follow, these.
-- -> {1 if it opened now, the breaker}
local name = ARGV[3]
local b = find(name)
if b and b.open == 1 and (b.ends > now or taken(b)) then return {0, told(name, b)} end

local at = 6
while ARGV[at] do
  local most, last, open = tonumber(ARGV[at]), at + 1 + ARGV[at + 1], 1
  for i = at + 2, last do
    local other = ARGV[i] ~= name and find(ARGV[i])
    if other and other.open == 1 then open = open + 1 end
  end
  if open > most then return {0, told(name, b)} end
  at = last + 1
end
return pause(name, b, tonumber(ARGV[5]), ARGV[4])
