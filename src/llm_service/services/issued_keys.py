"""The api keys that were presented lately, and how the others are looked up: bounded in memory and in questions."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from llm_service.domain import ApiKey, Caller, InvalidApiKey, KeySecret, LedgerUnavailable
from llm_service.observability import Log
from llm_service.runtime import Clock
from llm_service.services.hash_key import HashKeys, Matcher
from llm_service.services.key_secret import ISSUED, PREFIX_CHARS, prefix_of
from llm_service.storage import KeyStore, StoreUnavailable

KEPT_KEYS: Final = 10_000
KEPT_ABSENT: Final = 4_096
ABSENT_S: Final = 10.0
"""How long a prefix that nobody has is not asked for again."""
LOOKUPS: Final = 8
"""Questions to the database at a time: garbage keys cannot take all of its connections."""
WAITING: Final = 256
AWAY_S: Final = 0.25
"""How long nothing is asked after the database has not answered."""
_PREFIX: Final = slice(len(ISSUED), len(ISSUED) + PREFIX_CHARS)

UNKNOWN: Final = "The presented key is not known here."
_AWAY: Final = "The key cannot be looked up now: the database does not answer. Try again."
_BUSY: Final = "The key cannot be looked up now: too many unknown keys are being asked for. Try again."


class Known:
    """One secret of a key with everything that a request needs; ``caller`` is ``None`` where nobody has the prefix."""

    __slots__ = ("caller", "ends_at", "key_id", "matcher", "refusal", "revoked")

    def __init__(self, found: tuple[ApiKey, KeySecret] | None, matcher: Matcher) -> None:
        self.matcher = matcher
        self.caller: Caller | None = None
        self.key_id = ""
        self.ends_at = float("inf")
        """Unix seconds at which the key, or this secret of it, expires."""
        self.revoked = False
        self.refusal = ""
        if found is not None:
            key, secret = found
            self.key_id = key.id
            self.caller = Caller(key_id=key.id, scopes=key.scopes, key=key)
            self.revoked = key.revoked_at is not None
            self._set_end(key, secret)

    def _set_end(self, key: ApiKey, secret: KeySecret) -> None:
        if secret.expires_at is not None:
            self.ends_at = secret.expires_at.timestamp()
            self.refusal = "The presented key was replaced by a newer one, and the time in which both worked is over."
        if key.expires_at is not None and key.expires_at.timestamp() <= self.ends_at:
            self.ends_at = key.expires_at.timestamp()
            self.refusal = f"The presented key has expired, at {key.expires_at:%Y-%m-%dT%H:%M:%SZ}."


class IssuedKeys:
    """From a presented key to its caller.

    A key that was presented lately costs one keyed hash. Another one costs one indexed look-up; while the database
    does not answer, known keys go on and others get LedgerUnavailable, never InvalidApiKey.
    """

    def __init__(
        self, *, store: KeyStore, hash_keys: HashKeys, clock: Clock, log: Log, kept_keys: int = KEPT_KEYS
    ) -> None:
        self._store = store
        self._hash_keys = hash_keys
        self._clock = clock
        self._time = clock.time
        self._log = log
        self._kept_keys = kept_keys
        self._known: dict[str, Known] = {}  # by prefix; the one presented last stands last
        self._prefixes: dict[str, set[str]] = {}  # of the known ones, by key id
        self._absent: dict[str, float] = {}  # until when (monotonic seconds), the oldest first
        self._nobody = Known(None, hash_keys.matcher(None))
        self._changes = 0
        self._lookups = asyncio.Semaphore(LOOKUPS)
        self._waiting = 0
        self._away_until = float("-inf")
        self._on_revoked: list[Callable[[str], None]] = []

    # -- asking

    def find(self, presented: str) -> Caller | Awaitable[Caller]:
        """The caller at once where the key is known, else something to await.

        Raises InvalidApiKey, which says that a key is expired or revoked only to who has its whole secret. The other
        way out may also raise LedgerUnavailable.
        """
        prefix = presented[_PREFIX]
        known = self._known.pop(prefix, None)
        if known is None:
            return self._find_unknown(presented)
        self._known[prefix] = known
        return self._checked(known, presented)

    def holder(self, prefix: str, *, key_id: str) -> Caller | Awaitable[Caller]:
        """Whose key has this secret, by its public prefix: for who showed the secret before, and whose word we signed.

        As good as showing it again. Raises like ``find``.
        """

        def check(known: Known) -> Caller:
            return self._good(known if known.key_id == key_id else self._nobody)

        known = self._known.get(prefix)
        return check(known) if known is not None else self._look_up(prefix, check)

    def _checked(self, known: Known, presented: str) -> Caller:
        if not known.matcher.matches(presented):
            raise InvalidApiKey(UNKNOWN)
        return self._good(known)

    def _good(self, known: Known) -> Caller:
        if known.caller is None:
            raise InvalidApiKey(UNKNOWN)
        if known.revoked:
            raise InvalidApiKey("The presented key was revoked.")
        if known.ends_at <= self._time():
            raise InvalidApiKey(known.refusal)
        return known.caller

    def _find_unknown(self, presented: str) -> Caller | Awaitable[Caller]:
        prefix = prefix_of(presented)
        if prefix is None:
            raise InvalidApiKey(UNKNOWN)  # nobody has a key of another form, and anybody may know that
        if self._absent.get(prefix, 0.0) > self._clock.monotonic():
            return self._checked(self._nobody, presented)
        if self._clock.monotonic() < self._away_until:
            raise LedgerUnavailable(_AWAY, retry_after_s=1.0)
        return self._look_up(prefix, lambda known: self._checked(known, presented))

    async def _look_up(self, prefix: str, check: Callable[[Known], Caller]) -> Caller:
        if self._waiting >= WAITING:  # now, not when it was asked for: many may be before the first of them begins
            raise LedgerUnavailable(_BUSY, retry_after_s=1.0)
        self._waiting += 1
        try:
            async with self._lookups:
                known = self._known.get(prefix) or await self._ask(prefix)
        finally:
            self._waiting -= 1
        return check(known)

    async def _ask(self, prefix: str) -> Known:
        """What the database has. It is kept unless a key changed meanwhile: the answer may be older than the change."""
        changes = self._changes
        found = await self._found(prefix)
        if changes != self._changes:
            changes = self._changes
            found = await self._found(prefix)
        keep = changes == self._changes
        if found is None:
            if keep:
                self._keep_absent(prefix)
            return self._nobody
        known = Known(found, self._matcher(*found))
        if keep:
            self._keep(prefix, known)
        return known

    async def _found(self, prefix: str) -> tuple[ApiKey, KeySecret] | None:
        if self._clock.monotonic() < self._away_until:  # it stopped answering while this one waited for its turn
            raise LedgerUnavailable(_AWAY, retry_after_s=1.0)
        try:
            return await self._store.find(prefix)
        except StoreUnavailable as away:
            self._away_until = self._clock.monotonic() + AWAY_S
            raise LedgerUnavailable(_AWAY, retry_after_s=1.0) from away

    def _matcher(self, key: ApiKey, secret: KeySecret) -> Matcher:
        matcher = self._hash_keys.matcher(secret)
        if not matcher.possible:
            said = "an api key was hashed with a hash key that is not configured"
            self._log.warning(said, key_id=key.id, hash_key=secret.hash_key)
        return matcher

    def _keep(self, prefix: str, known: Known) -> None:
        self._known[prefix] = known
        self._prefixes.setdefault(known.key_id, set()).add(prefix)
        if len(self._known) > self._kept_keys:
            self._drop(next(iter(self._known)))

    def _drop(self, prefix: str) -> None:
        key_id = self._known.pop(prefix).key_id
        self._prefixes[key_id].discard(prefix)
        if not self._prefixes[key_id]:
            del self._prefixes[key_id]

    def _keep_absent(self, prefix: str) -> None:
        self._absent.pop(prefix, None)
        self._absent[prefix] = self._clock.monotonic() + ABSENT_S
        if len(self._absent) > KEPT_ABSENT:
            del self._absent[next(iter(self._absent))]

    # -- changes

    def forget(self, key_id: str) -> None:
        """Look the key up again when it is presented next."""
        self._changes += 1
        for prefix in tuple(self._prefixes.get(key_id, ())):
            self._drop(prefix)

    def forget_all(self) -> None:
        """Look every key up again."""
        self._changes += 1
        self._known.clear()
        self._prefixes.clear()
        self._absent.clear()

    def on_revoked(self, callback: Callable[[str], None]) -> None:
        """Call back with the id of every key that is found to be revoked, more than once at times."""
        self._on_revoked.append(callback)

    def off_revoked(self, callback: Callable[[str], None]) -> None:
        """Call back no more."""
        self._on_revoked.remove(callback)

    @property
    def has_listeners(self) -> bool:
        """Whether somebody wants to know of revocations."""
        return bool(self._on_revoked)

    def tell_revoked(self, key_id: str) -> None:
        """Tell all who want to know; a defect of one keeps no other from hearing of it."""
        for callback in tuple(self._on_revoked):
            try:
                callback(key_id)
            except Exception as defect:  # noqa: BLE001 - whatever it is, the others are told
                self._log.error("a revocation was not acted upon", key_id=key_id, exc_info=defect)
