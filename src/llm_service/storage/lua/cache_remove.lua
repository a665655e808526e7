-- Forgets one answer. Without a stamp it counts as a purge, of no group: what other processes keep of it is in doubt then.
--
-- ARGV[2..]: digest, the stamp that it must have ('': any). -> {1 if it was there, purges so far}
local function remove()
  local digest, wanted = ARGV[2], ARGV[3]
  local purges, floor = totals()
  local stamp, outlived, packed = read(digest)
  if wanted ~= '' and stamp ~= wanted then return {0, purges} end
  local there = stamp and redis.call('ZSCORE', INDEX, digest) and stands(digest, outlived, packed, purges, floor)
  forget(digest)
  if wanted == '' then purges = redis.call('HINCRBY', TOTALS, 'purges', 1) end
  return {there and 1 or 0, purges}
end

return safely(remove)
