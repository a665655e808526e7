"""What happens to keys in any process takes effect in this one: at once by message, within half a second without."""

import re
from typing import Final

from llm_service.observability import Log
from llm_service.runtime import Clock, Tasks
from llm_service.services.follow import Follower
from llm_service.services.issued_keys import IssuedKeys
from llm_service.storage import Bulletin, KeyStore, StoreUnavailable

KEYS_TOPIC: Final = "keys"
"""The topic of the messages; each is the id of a key that has changed."""
KEY_ID: Final = re.compile(r"key_[0-9a-f]{26}")


class KeyChanges:
    """Follows the changes of keys and makes them known. ``bulletin`` is ``None`` where no messages are to be had.

    A message makes the process forget the key at once and ask the database what has changed; the same question is
    asked every half second anyway. While the database does not answer, known keys stay as they are.
    """

    def __init__(
        self,
        *,
        store: KeyStore,
        issued: IssuedKeys,
        bulletin: Bulletin | None,
        clock: Clock,
        tasks: Tasks,
        log: Log,
    ) -> None:
        self._store = store
        self._issued = issued
        self._bulletin = bulletin
        self._log = log
        self._mark = 0
        self._follower = Follower(
            self._catch_up,
            what="changes of keys",
            meanwhile="known keys go on",
            clock=clock,
            tasks=tasks,
            log=log,
        )

    def start(self) -> None:
        """Follow from now on, until the tasks' owner ends them."""
        if self._bulletin is not None:
            self._bulletin.listen(KEYS_TOPIC, self._hear)
        self._follower.start()

    async def announce(self, key_id: str) -> None:
        """Forget the key here and tell every other process. A message that cannot be sent is only logged."""
        self._hear(key_id)
        if self._bulletin is None:
            return
        try:
            await self._bulletin.publish(KEYS_TOPIC, key_id)
        except StoreUnavailable as away:
            said = "a changed key was not announced; other processes find it in the database"
            self._log.warning(said, key_id=key_id, error=str(away))

    def _hear(self, text: str) -> None:
        if KEY_ID.fullmatch(text):
            self._issued.forget(text)
            self._follower.look_now()

    async def _catch_up(self) -> None:
        """Take in what changed since the last time; the mark moves on only when all of it was taken in."""
        first = self._mark == 0
        changed, mark = await self._store.changed_since(self._mark)
        if first:
            self._issued.forget_all()  # it may have been read before a change that this mark is past already
        for key_id in changed:
            self._issued.forget(key_id)
        for key_id in changed if self._issued.has_listeners else ():
            key = await self._store.get(key_id)
            if key is not None and key.revoked_at is not None:
                self._issued.tell_revoked(key_id)
        self._mark = mark
