"""The identity of a store's memory, kept in the memory itself, and the guard that each script begins with.

A key holds ``<life>:<run id>:<replication id>``: a random life beside the identity of the server process that it was
drawn on. Who connects runs a script that draws a new life when the key is absent (an empty or flushed store) or was
drawn on another process or in another reign of it (a restart or failover, which may have lost the newest second). Each
script compares the key with what its caller knew before it does anything. So processes that share a memory agree on
its life at every moment, and nothing is ever counted in one memory under the name of another.
"""

import hashlib
import random
import re
from typing import Any, Final

from llm_service.domain import fact, fact_in_order
from llm_service.storage.valkey_causes import OTHER_MEMORY, Unfit
from llm_service.storage.valkey_wire import Wire

# A script with this first line is refused as a whole, before it begins, by a store that cannot write: a replica, a full
# one, one that lacks its replicas (Redis 7, Valkey). So whether it can is found out by connecting, too.
_ENGINE: Final = "#!lua\n"
_OPEN: Final = (
    _ENGINE
    + """local known = redis.call('GET', KEYS[1])
if not known or string.match(known, '^%x+:(.*)$') ~= ARGV[1] then
  known = ARGV[2] .. ':' .. ARGV[1]
  redis.call('SET', KEYS[1], known)
end
return known
"""
)
_GUARD: Final = (
    _ENGINE + f"if redis.call('GET', table.remove(KEYS)) ~= table.remove(ARGV) then "
    f"return redis.error_reply('{OTHER_MEMORY} other memory') end; "
)
_LIFE_BITS: Final = 64
_NO_EVICTION: Final = "noeviction"


@fact
class Memory:
    """What a connection says of the memory behind it. ``mark`` is the whole value of the key, ``life`` its name."""

    mark: bytes
    evicts: str | None

    @property
    def life(self) -> str:
        return self.mark.partition(b":")[0].decode()


@fact_in_order
class Guarded:
    """A script with its guard in front, and its digest."""

    text: str
    sha1: str


def guarded(script: str) -> Guarded:
    """The script, refused unless its last key holds its last argument; it sees neither."""
    text = _GUARD + script
    return Guarded(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


async def open_memory(wire: Wire, *, key: str, source: random.Random) -> Memory:
    """Ask a fresh connection for its memory. Raises Unfit, and redis-py's errors where it cannot be written."""
    facts = _facts(await wire.ask("INFO"))
    if facts.get("role", "master") != "master":
        raise Unfit("the store is a replica and takes no writes")
    process = f"{facts.get('run_id', '')}:{facts.get('master_replid', '')}"
    fresh = f"{source.getrandbits(_LIFE_BITS):016x}"
    mark: Any = await wire.ask("EVAL", _OPEN, 1, key, process, fresh)
    policy = facts.get("maxmemory_policy", _NO_EVICTION)
    return Memory(mark=mark, evicts=None if policy == _NO_EVICTION else policy)


def _facts(info: bytes) -> dict[str, str]:
    return dict(re.findall(r"^([a-z_0-9]+):([^\r\n]*)", info.decode("utf-8", "replace"), re.MULTILINE))
