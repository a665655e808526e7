-- The try of a deployment gave no verdict.
--
-- ARGV[3..]: its name, which of the caller's tries it was. -> {1 if it still had the place, the breaker}
local name = ARGV[3]
local b = find(name)
if not b or b.open == 0 or not mine(b, ARGV[4]) then return {0, told(name, b)} end
b.tries, b.number, b.lease = '', 0, 0
change(name, b)
return {1, told(name, b)}
