-- Begins a purge: gives it a number, and its group a new epoch when all answers of before are meant.
--
-- ARGV[2..]: the group ('': only old ones are meant), how many groups are remembered. -> the purge's number
local function purge()
  totals()
  local number = redis.call('HINCRBY', TOTALS, 'purges', 1)
  if ARGV[2] ~= '' then begin_epoch(ARGV[2], number, ARGV[3]) end
  return number
end

return safely(purge)
