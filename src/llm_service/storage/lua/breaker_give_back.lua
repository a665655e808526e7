-- The try of a deployment gave no verdict. ARGV[3]: its name. -> {1 if it was the caller's, the breaker}
local name = ARGV[3]
local b = find(name)
if not b or b.open == 0 or b.tries ~= ME then return {0, told(name, b)} end
b.tries, b.lease = '', 0
change(name, b)
return {1, told(name, b)}
