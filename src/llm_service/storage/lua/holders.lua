-- KEYS: the holders. -> each holder, and when it last beat (text; compare, do not reckon)
return redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
