"""One or several processes that share api keys, put together by hand over stores in memory."""

from collections.abc import Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any, cast

from llm_service.domain import Caller, Credentials, LLMServiceError, Secret
from llm_service.runtime import RandomIds, Tasks
from llm_service.services import Authenticator, HashKeys, Issued, IssuedKeys, KeyChanges, Keys
from tests.support.clock import ManualClock
from tests.support.memory_keys import MemoryBulletin, MemoryKeys
from tests.support.service import LogLines

HASH_KEY = Secret("canary0hash0key0of0the0tests0000000000000000")


def credentials(key: str | None, **changed: Any) -> Credentials:
    """Of a request from another machine."""
    remote = {"peer": "10.0.0.7", "host": "gateway.example.com", "origin": None, "forwarded": False}
    return Credentials(key=key, **{**remote, **changed})


@dataclass
class World:
    """What all processes share."""

    clock: ManualClock = field(default_factory=ManualClock)
    store: MemoryKeys = field(default_factory=MemoryKeys)
    bulletin: MemoryBulletin = field(default_factory=MemoryBulletin)
    hash_keys: HashKeys = field(default_factory=lambda: HashKeys([HASH_KEY]))
    dice: Random = field(default_factory=lambda: Random(7))


class Process:
    """One process: its cache of keys, its authenticator, its way to change keys."""

    def __init__(self, world: World, *, messages: bool = True, kept_keys: int = 100) -> None:
        self.world = world
        self.log = LogLines()
        self.failures: list[BaseException] = []
        self.tasks = Tasks(lambda _, failure: self.failures.append(failure))
        self.issued = IssuedKeys(
            store=world.store, hash_keys=world.hash_keys, clock=world.clock, log=self.log, kept_keys=kept_keys
        )
        self.changes = KeyChanges(
            store=world.store,
            issued=self.issued,
            bulletin=world.bulletin if messages else None,
            clock=world.clock,
            tasks=self.tasks,
            log=self.log,
        )
        self.authenticator = Authenticator(admin_key=None, keyless=False, allowed_origins=(), keys=self.issued)
        self.keys = Keys(
            store=world.store,
            hash_keys=world.hash_keys,
            clock=world.clock,
            ids=RandomIds(world.clock, world.dice),
            source=world.dice,
            announce=self.changes.announce,
        )

    async def issue(self, **fields: Any) -> Issued:
        return await self.keys.create({"name": "of a test", **fields})

    async def caller(self, issued: Issued | str) -> Caller:
        """Who presents this key."""
        key = issued if isinstance(issued, str) else issued.secret.reveal()
        found = self.authenticator.authenticate(credentials(key))
        return found if isinstance(found, Caller) else await found

    async def refusal(self, issued: Issued | str) -> LLMServiceError | None:
        """What this key is refused with."""
        try:
            await self.caller(issued)
        except LLMServiceError as error:
            return error
        return None

    def knows(self, issued: Issued) -> bool:
        """Whether the key's caller is known without asking anybody."""
        found = self.issued.find(issued.secret.reveal())
        if isinstance(found, Caller):
            return True
        cast("Coroutine[Any, Any, Caller]", found).close()
        return False
