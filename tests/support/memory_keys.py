"""A key store, a bulletin and facts in memory, which can be made to fail or to wait."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from llm_service.domain import ApiKey, KeySecret
from llm_service.storage import StoreUnavailable


class MemoryKeys:
    """A KeyStore. ``away``: nothing answers; ``gate``: answers wait for it; ``asked``: the prefixes looked up."""

    def __init__(self) -> None:
        self.keys: dict[str, ApiKey] = {}
        self.secrets: dict[str, KeySecret] = {}
        self.changes: list[str] = []
        self.asked: list[str] = []
        self.away = False
        self.gate: asyncio.Event | None = None
        self.waiting = 0
        self.most_waiting = 0
        self.before_write: Callable[[], None] = lambda: None

    def _answer(self) -> None:
        if self.away:
            raise StoreUnavailable("away")

    async def insert(self, key: ApiKey, secret: KeySecret) -> None:
        self._answer()
        assert key.id not in self.keys
        assert secret.prefix not in self.secrets
        self.keys[key.id], self.secrets[secret.prefix] = key, secret
        self.changes.append(key.id)

    async def find(self, prefix: str) -> tuple[ApiKey, KeySecret] | None:
        self.asked.append(prefix)
        self._answer()
        secret = self.secrets.get(prefix)
        found = None if secret is None else (self.keys[secret.key_id], secret)
        if self.gate is not None:
            self.waiting += 1
            self.most_waiting = max(self.most_waiting, self.waiting)
            await self.gate.wait()
            self.waiting -= 1
        self._answer()
        return found

    async def get(self, key_id: str) -> ApiKey | None:
        self._answer()
        return self.keys.get(key_id)

    async def several(self, key_ids: Sequence[str]) -> Sequence[ApiKey]:
        self._answer()
        return [self.keys[key_id] for key_id in key_ids if key_id in self.keys]

    async def page(
        self, *, after: str | None, count: int, newest_first: bool = False, find: str | None = None
    ) -> Sequence[ApiKey]:
        self._answer()
        keys = sorted(self.keys.values(), key=lambda one: one.id, reverse=newest_first)
        behind = [key for key in keys if after is None or (key.id < after if newest_first else key.id > after)]
        words = (find or "").lower()
        return [key for key in behind if words in f"{key.name}\n{key.user or ''}\n{key.id}".lower()][:count]

    async def update(self, key: ApiKey) -> bool:
        self._answer()
        self.before_write()
        before = self.keys.get(key.id)
        if before is None or before.version != key.version - 1:
            return False
        self.keys[key.id] = key
        self.changes.append(key.id)
        return True

    async def add_secret(self, key: ApiKey, secret: KeySecret, *, others_end_at: datetime) -> bool:
        if not await self.update(key):
            return False
        for prefix, other in self.secrets.items():
            if other.key_id == key.id and (other.expires_at is None or other.expires_at > others_end_at):
                self.secrets[prefix] = replace(other, expires_at=others_end_at)
        self.secrets[secret.prefix] = secret
        return True

    async def changed_since(self, mark: int) -> tuple[Sequence[str], int]:
        self._answer()
        return (list(dict.fromkeys(self.changes[mark:])) if mark else [], len(self.changes))


class MemoryBulletin:
    """Messages within the process. ``mute``: they are lost; ``away``: they cannot be sent."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.mute = False
        self.away = False
        self._listeners: list[tuple[str, Callable[[str], None]]] = []

    async def publish(self, topic: str, text: str) -> None:
        if self.away:
            raise StoreUnavailable("away")
        self.heard.append((topic, text))
        for listened, hear in self._listeners:
            if listened == topic and not self.mute:
                hear(text)

    def listen(self, topic: str, hear: Callable[[str], None]) -> None:
        self._listeners.append((topic, hear))

    async def aclose(self) -> None:
        self._listeners.clear()


class MemoryFacts:
    """Small facts, while the database is not ``away``."""

    def __init__(self) -> None:
        self.facts: dict[str, str] = {}
        self.away = False

    def _here(self) -> None:
        if self.away:
            raise StoreUnavailable("away")

    async def get(self, name: str) -> str | None:
        self._here()
        return self.facts.get(name)

    async def having(self, prefix: str) -> Mapping[str, str]:
        self._here()
        return {name: value for name, value in self.facts.items() if name.startswith(prefix)}

    async def put_if_absent(self, name: str, value: str) -> str:
        self._here()
        return self.facts.setdefault(name, value)

    async def put(self, name: str, value: str | None) -> None:
        self._here()
        if value is None:
            self.facts.pop(name, None)
        else:
            self.facts[name] = value


class MemoryDatabase:
    """A Database with keys and facts."""

    reach = "machine"

    def __init__(self) -> None:
        self.keys = MemoryKeys()
        self.facts = MemoryFacts()
