-- The try of a deployment failed.
--
-- ARGV[3..]: its name, which of the caller's tries it was, the cause, the next pause in ms, the newest version that was seen.
-- -> {1 if that pause begins, the breaker}
local name = ARGV[3]
local b = find(name)
if b and b.open == 1 and (b.ends > now or taken(b) and not mine(b, ARGV[4])) then return {0, told(name, b)} end
if b and b.open == 0 and b.version > tonumber(ARGV[7]) then return {0, told(name, b)} end
return pause(name, b, tonumber(ARGV[6]), ARGV[5])
