-- Begins a purge: gives it a number, and its group a new epoch when all answers of before are meant.
--
-- ARGV[2..]: the group ('': only old ones are meant), how many groups are remembered. -> the purge's number
local function purge()
  totals()
  local number = redis.call('HINCRBY', TOTALS, 'purges', 1)
  if ARGV[2] == '' then return number end
  redis.call('ZADD', EPOCHS, int(number), ARGV[2])
  if redis.call('ZCARD', EPOCHS) > tonumber(ARGV[3]) then
    local oldest = redis.call('ZPOPMIN', EPOCHS, math.floor(ARGV[3] / 2))
    redis.call('HSET', TOTALS, 'floor', oldest[#oldest])
  end
  return number
end

return safely(purge)
