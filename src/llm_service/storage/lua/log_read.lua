-- Reads logs, each from an event on, and says for a while that somebody does.
--
-- KEYS: for each log its list of events, its facts, the mark of its readers. ARGV: how many events of each are taken at most,
--   for how many ms a reader counts, then for each log: how many events the reader has had, whether it counts (1 or 0).
-- -> for each log {holder ('': there is no such log), head, end, 1 if events are missing, events ...}
local most, counts_ms, reads = tonumber(ARGV[1]), ARGV[2], {}
for key = 1, #KEYS, 3 do
  local at = 3 + (key - 1) / 3 * 2
  local from = tonumber(ARGV[at])
  if ARGV[at + 1] == '1' then redis.call('SET', KEYS[key + 2], '', 'PX', counts_ms) end
  local facts = redis.call('HMGET', KEYS[key + 1], 'holder', 'head', 'end', 'cut')
  local events = redis.call('LRANGE', KEYS[key], from, from + most - 1)
  reads[#reads + 1] = {facts[1] or '', facts[2] or '', facts[3] or '', facts[4] and 1 or 0, unpack(events)}
end
return reads
