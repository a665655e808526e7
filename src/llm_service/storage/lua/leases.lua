-- KEYS: a holder's leases. -> their ids
return redis.call('HKEYS', KEYS[1])
