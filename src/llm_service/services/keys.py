"""The control plane of api keys: create, show, change, rotate, revoke."""

import random
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from llm_service.domain import (
    ApiKey,
    Body,
    InvalidValue,
    KeySecret,
    LedgerUnavailable,
    NotFound,
    Secret,
    fact,
)
from llm_service.runtime import Clock, IdSource
from llm_service.services.database import database_needed
from llm_service.services.hash_key import HashKeys
from llm_service.services.key_changes import KEY_ID
from llm_service.services.key_fields import new_key, read_fields, with_fields
from llm_service.services.key_secret import new_secret
from llm_service.storage import KeyStore

OVERLAP_S: Final = 86_400
"""How long the former secrets of a rotated key go on working, unless the request says otherwise."""
MOST_OVERLAP_S: Final = 365 * 86_400
AWAY: Final = "The database does not answer; try again. What was asked for may have been done."
_ATTEMPTS: Final = 5
_LIKE_AN_ID: Final = re.compile(r"key_[0-9a-z]{1,26}")

Announce = Callable[[str], Awaitable[None]]


@fact
class Issued:
    """A key together with its new secret, which is shown this once."""

    key: ApiKey
    secret: Secret


@fact
class KeyPage:
    """Some of the keys, and what to ask with for the next ones (``None``: there are none)."""

    keys: Sequence[ApiKey]
    next_cursor: str | None


class Keys:
    """Api keys of the deployment. All methods raise LedgerUnavailable where the database does not answer.

    ``announce`` tells all processes of a changed key; without it they find out by themselves (within 0.5 s).
    """

    def __init__(
        self,
        *,
        store: KeyStore,
        hash_keys: HashKeys,
        clock: Clock,
        ids: IdSource,
        source: random.Random,
        announce: Announce | None = None,
    ) -> None:
        self._store = store
        self._hash_keys = hash_keys
        self._clock = clock
        self._ids = ids
        self._random = source
        self._announce = announce

    async def create(self, body: Body) -> Issued:
        """A new key from its fields. Raises MissingParameter and InvalidValue, which name the field."""
        now = self._clock.now()
        key = new_key(read_fields(body, now=now), key_id=self._ids.new("key"), now=now)
        secret, stored = self._new_secret(key.id)
        with database_needed(AWAY):
            await self._store.insert(key, stored)
        return Issued(key=key, secret=secret)

    async def list(
        self, *, after: str | None, count: int, newest_first: bool = False, find: str | None = None
    ) -> KeyPage:
        """Up to ``count`` keys in the order of their making, those behind the key with the id ``after``.

        ``find``: only those whose name, user or id contains it. Raises InvalidValue where ``after`` is no id of a key.
        """
        if after is not None and not KEY_ID.fullmatch(after):
            raise InvalidValue("Keys go on after the `next_cursor` of a page; this is none.", param="cursor")
        with database_needed(AWAY):
            found = await self._store.page(after=after, count=count + 1, newest_first=newest_first, find=find)
        keys = found[:count]
        return KeyPage(keys=keys, next_cursor=keys[-1].id if len(found) > count else None)

    async def get(self, key_id: str) -> ApiKey:
        """One key. Raises NotFound."""
        key = None
        if KEY_ID.fullmatch(key_id):  # nothing else is put to the database
            with database_needed(AWAY):
                key = await self._store.get(key_id)
        if key is None:
            named = f"api key `{key_id}`" if _LIKE_AN_ID.fullmatch(key_id) else "such api key"  # it may be a secret
            raise NotFound(f"There is no {named}.")
        return key

    async def several(self, key_ids: Sequence[str]) -> Mapping[str, ApiKey]:
        """Those of the keys that there are, by id: one question to the database."""
        known = [key_id for key_id in key_ids if KEY_ID.fullmatch(key_id)]
        with database_needed(AWAY):
            return {key.id: key for key in await self._store.several(known)} if known else {}

    async def update(self, key_id: str, body: Body) -> ApiKey:
        """Change the given fields; null puts one back to its default, ``version`` asks for that version of the key.

        Raises NotFound, and InvalidValue, also for a revoked key and for a version that is not the key's any more.
        """
        fields = dict(body)
        version = fields.pop("version", None)
        read = read_fields(fields, now=self._clock.now())

        def changed(key: ApiKey) -> ApiKey:
            if version is not None and version != key.version:
                raise InvalidValue(f"'version' is {key.version} by now: the key was changed.", param="version")
            return with_fields(_usable(key), read)

        return await self._change(key_id, changed)

    async def rotate(self, key_id: str, body: Body | None = None) -> Issued:
        """A new secret. The former ones work for ``overlap_s`` more seconds (24 hours unless given; 0: end now).

        Raises NotFound, and InvalidValue for a bad or unknown field and a revoked key.
        """
        overlap_s = _overlap(body or {})
        secret, stored = self._new_secret(key_id)
        others_end_at = self._clock.now() + timedelta(seconds=overlap_s)

        async def written(key: ApiKey) -> bool:
            return await self._store.add_secret(key, stored, others_end_at=others_end_at)

        return Issued(key=await self._change(key_id, _usable, written), secret=secret)

    async def revoke(self, key_id: str) -> ApiKey:
        """End the key for good: its secrets work nowhere any more. A revoked one stays as it is. Raises NotFound."""
        now = self._clock.now()
        return await self._change(key_id, lambda key: key if key.revoked_at else replace(key, revoked_at=now))

    async def expire(self, key_id: str) -> ApiKey:
        """End the key now; a later ``expires_at`` opens it again. Raises NotFound, and InvalidValue if revoked."""
        now = self._clock.now()
        return await self._change(key_id, lambda key: replace(_usable(key), expires_at=now))

    def _new_secret(self, key_id: str) -> tuple[Secret, KeySecret]:
        prefix, secret = new_secret(self._random)
        stored = KeySecret(
            key_id=key_id,
            prefix=prefix,
            hash=self._hash_keys.hash(secret.reveal()),
            hash_key=self._hash_keys.fingerprint,
            created_at=self._clock.now(),
        )
        return secret, stored

    async def _change(
        self,
        key_id: str,
        changed: Callable[[ApiKey], ApiKey],
        write: Callable[[ApiKey], Awaitable[bool]] | None = None,
    ) -> ApiKey:
        """The key with a change, written on top of the version that was read; read again where another was quicker."""
        for _ in range(_ATTEMPTS):
            before = await self.get(key_id)
            after = changed(before)
            if after is before and write is None:
                return before
            after = replace(after, version=before.version + 1)
            with database_needed(AWAY):
                done = await (write or self._store.update)(after)
            if done:
                if self._announce is not None:
                    await self._announce(key_id)
                return after
        raise LedgerUnavailable("The key is being changed by others all the time; try again.", retry_after_s=1.0)


def _usable(key: ApiKey) -> ApiKey:
    if key.revoked_at is not None:
        raise InvalidValue(f"The api key `{key.id}` is revoked, and that is final: create another one.")
    return key


def _overlap(body: Body) -> int:
    for name in body:
        if name != "overlap_s":
            raise InvalidValue(f"'{name[:64]}' is unknown here; there is: overlap_s.", param=name[:64])
    overlap_s = body.get("overlap_s")
    if overlap_s is None:
        return OVERLAP_S
    if type(overlap_s) is not int or not 0 <= overlap_s <= MOST_OVERLAP_S:
        said = f"'overlap_s' must be a whole number of seconds from 0 to {MOST_OVERLAP_S}."
        raise InvalidValue(said, param="overlap_s")
    return overlap_s
