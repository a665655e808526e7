-- Claims to be the one that asks the upstream, for all requests that are the same.
--
-- KEYS: the flight, the kept answer to it (hash). ARGV: what is written into it, what stood in it and may be replaced ('':
--   nothing), for how many ms it is held, when the answer that the caller has seen was stored ('': it has seen none), how
--   the keys of logs begin, for how many ms who is told of a flight counts as a reader of its log.
-- A flight whose log is left is replaced. -> what stands in it now; '' when an answer has been kept since the caller looked
local there = redis.call('GET', KEYS[1])
if there and there ~= ARGV[2] then
  local known, flight = pcall(cjson.decode, there)
  if not known or type(flight) ~= 'table' or type(flight[1]) ~= 'string' then return there end
  local log = ARGV[5] .. flight[1]
  if redis.call('HEXISTS', log .. ':facts', 'left') == 0 then
    redis.call('SET', log .. ':read', '', 'PX', ARGV[6])
    return there
  end
end
local stored = redis.call('HGET', KEYS[2], 't')
if stored and stored ~= ARGV[4] then return '' end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return ARGV[1]
