-- The try of a deployment failed.
--
-- ARGV[3..]: its name, the cause, the next pause in ms, the newest version that was seen. -> {1 if that pause begins, the breaker}
local name = ARGV[3]
local b = find(name)
if b and b.open == 1 and (b.ends > now or taken(b) and b.tries ~= ME) then return {0, told(name, b)} end
if b and b.open == 0 and b.version > tonumber(ARGV[6]) then return {0, told(name, b)} end
return pause(name, b, tonumber(ARGV[5]), ARGV[4])
