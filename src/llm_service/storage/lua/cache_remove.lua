-- Forgets one answer. Without a stamp that is a purge of the group which its digest is.
--
-- ARGV[2..]: digest, the stamp that it must have ('': any), how many groups are remembered. -> {1 if it was there, purges so far}
local function remove()
  local digest, wanted = ARGV[2], ARGV[3]
  local purges, floor = totals()
  local stamp, outlived, packed = read(digest)
  if wanted ~= '' and stamp ~= wanted then return {0, purges} end
  local there = stamp and redis.call('ZSCORE', INDEX, digest) and stands(digest, outlived, packed, purges, floor)
  forget(digest)
  if wanted == '' then
    purges = redis.call('HINCRBY', TOTALS, 'purges', 1)
    begin_epoch(digest, purges, ARGV[4])
  end
  return {there and 1 or 0, purges}
end

return safely(remove)
