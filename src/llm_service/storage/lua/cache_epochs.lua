-- Where groups stand now. ARGV[2..]: groups. -> {purges so far, the epoch of each}
local function epochs()
  local purges, floor = totals()
  return {purges, unpack(epochs_of(arguments(2, #ARGV), floor))}
end

return safely(epochs)
