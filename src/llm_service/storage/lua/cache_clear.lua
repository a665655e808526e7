-- Takes out what a purge means, a piece of the index at a time.
--
-- ARGV[2..]: where to go on (from '0'), the group, the purge's number ('': only old ones), stored before (Unix s, or '').
-- -> {where to go on ('0': that was all), how many were there}
local LOOKED_AT = 200   -- others wait meanwhile

local function clear()
  local group, number, before = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
  local function is_meant(outlived, packed, stored)
    if number and outlived >= number or not number and stored >= before then return false end
    for _, name in ipairs(groups_of(packed)) do
      if name == group then return true end
    end
  end

  local found, count = redis.call('ZSCAN', INDEX, ARGV[2], 'COUNT', LOOKED_AT), 0
  for at = 1, #found[2], 2 do
    local digest = found[2][at]
    local stamp, outlived, packed, stored = read(digest)
    if not stamp then
      forget(digest)
    elseif is_meant(outlived, packed, stored) and forget(digest) then
      count = count + 1
    end
  end
  return {found[1], count}
end

return safely(clear)
