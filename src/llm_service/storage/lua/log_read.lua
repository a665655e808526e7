-- Reads a log from an event on, and says for a while that somebody does.
--
-- KEYS: its list of events, its facts, the mark of its readers. ARGV: how many events the reader has had, how many it takes
--   at most, for how many ms it counts as a reader ('': it does not).
-- -> {holder ('': there is no such log), head, end, 1 if events are missing, events ...}
if ARGV[3] ~= '' then redis.call('SET', KEYS[3], '', 'PX', ARGV[3]) end
local facts = redis.call('HMGET', KEYS[2], 'holder', 'head', 'end', 'cut')
local from = tonumber(ARGV[1])
local events = redis.call('LRANGE', KEYS[1], from, from + ARGV[2] - 1)
return {facts[1] or '', facts[2] or '', facts[3] or '', facts[4] and 1 or 0, unpack(events)}
