-- Looks an answer up; its blob comes along unless the caller has it.
--
-- ARGV[2..]: digest, the stamp of what the caller has ('': nothing), 'lru' or 'lfu', groups.
-- -> {its stamp ('': it is not there), its blob ('': the caller's), purges so far, the epoch of each group}
local function look()
  local digest, known, eviction = ARGV[2], ARGV[3], ARGV[4]
  local purges, floor = totals()
  local nothing = {'', '', purges, unpack(epochs_of(arguments(5, #ARGV), floor))}
  local stamp, outlived, packed = read(digest)
  local used = stamp and redis.call('ZSCORE', INDEX, digest)
  if not used or not stands(digest, outlived, packed, purges, floor) then
    forget(digest)
    return nothing
  end
  redis.call('ZADD', INDEX, 'XX', score(eviction, tonumber(used)), digest)
  local found = nothing
  found[1] = stamp
  if stamp ~= known then found[2] = redis.call('HGET', ARGV[1] .. digest, 'b') or '' end
  return found
end

return safely(look)
