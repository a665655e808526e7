-- KEYS: a text. -> it, '' if there is none
return redis.call('GET', KEYS[1]) or ''
