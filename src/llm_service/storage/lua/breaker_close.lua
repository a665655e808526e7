-- Closes a breaker. One that is not known is kept as closed: others may have it open.
--
-- ARGV[3..]: its name, the newest version that was seen ('': it closes whatever there is). -> {1 if it closed now, the breaker}
local name, seen = ARGV[3], tonumber(ARGV[4])
local b = find(name)
if b and (b.open == 0 or seen and b.version > seen) then return {0, told(name, b)} end
b = {open = 0, since = now, ends = 0, pause = 0, cause = '', tries = '', number = 0, lease = 0, held = 0}
change(name, b)
return {1, told(name, b)}
