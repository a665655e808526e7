"""What operators do, for the log and the audit log: who did what, on what, from where, and what came of it."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from llm_service.domain import Caller, InternalError, LLMServiceError
from llm_service.observability import Log
from llm_service.services import AuditTrail, outcome_of
from llm_service.storage import ActDoor

EVENT: Final = "admin"
DONE: Final = "ok"
MOST_CHARS: Final = 200
MOST_NAMES: Final = 32
WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "POST /admin/keys": "key.create",
        "PATCH /admin/keys/{id}": "key.update",
        "DELETE /admin/keys/{id}": "key.revoke",
        "POST /admin/keys/{id}/rotate": "key.rotate",
        "PATCH /admin/providers/{name}": "provider.change",
        "POST /admin/providers/{name}/test": "provider.test",
        "DELETE /admin/cache": "cache.purge",
        "POST /admin/alerts/silences": "alert.silence",
        "DELETE /admin/alerts/silences/{id}": "alert.unsilence",
        "POST /admin/alerts/{rule}/test": "alert.test",
        "PATCH /admin/config": "config.change",
        "POST /admin/config/reload": "config.reload",
        "POST /dashboard/session": "session.open",
        "DELETE /dashboard/session": "session.close",
        "Mutation.createKey": "key.create",
        "Mutation.updateKey": "key.update",
        "Mutation.rotateKey": "key.rotate",
        "Mutation.revokeKey": "key.revoke",
        "Mutation.purgeCache": "cache.purge",
        "Mutation.setProviderEnabled": "provider.change",
        "Mutation.drainProvider": "provider.change",
    }
)
"""What the audit log calls an act, whichever door it came by; a change of a provider that was done by what it came to
(``STATE_ACTS``). The log has the route or the mutation."""
CUT_OFF: Final = InternalError("The act was cut off, or failed on a defect: a part of it may have been done.")


class Acts:
    """Tells of acts. ``trail``: into the audit log; ``None`` where there is none."""

    __slots__ = ("_log", "_trail")

    def __init__(self, log: Log, trail: AuditTrail | None = None) -> None:
        self._log = log
        self._trail = trail

    def tell(
        self,
        act: str,
        *,
        door: ActDoor,
        caller: Caller,
        request_id: str,
        peer: str | None,
        on: object = None,
        fields: Iterable[str] = (),
        error: LLMServiceError | None = None,
        word: str | None = None,
    ) -> None:
        """One line, at once, and an entry of the audit log, soon.

        ``act``: the route or the mutation; ``on``: what it was done to; ``fields``: the names of what was given, never
        the values; ``error``: why it was not done; ``word``: what the audit log calls it, where ``WORDS`` cannot tell.
        """
        code = None if error is None else error.code
        subject = str(on)[:MOST_CHARS] if on else None
        named = [name[:MOST_CHARS] for name in sorted(fields)[:MOST_NAMES]]
        told = {"on": subject, "fields": named}
        self._log.info(
            EVENT,
            request_id=request_id,
            act=act,
            outcome=code or DONE,
            key_id=caller.key_id,
            peer=peer,
            **{name: what for name, what in told.items() if what},
        )
        if self._trail is not None:
            self._trail.note(
                word or WORDS.get(act, act),
                door=door,
                outcome=outcome_of(error),
                error_code=code,
                key_id=caller.key_id,
                key_name=None if caller.key is None else caller.key.name,
                peer=peer,
                subject=subject,
                fields=named,
                request_id=request_id,
            )

    def stranger(self, act: str, *, door: ActDoor, request_id: str, peer: str | None, error: LLMServiceError) -> None:
        """An entry of the audit log for a refusal of somebody who is nobody; whoever refused has told the log."""
        if self._trail is not None:
            code, outcome = error.code, outcome_of(error)
            word = WORDS.get(act, act)
            self._trail.note(word, door=door, outcome=outcome, error_code=code, peer=peer, request_id=request_id)

    async def kept(self) -> None:
        """Returns when what was done is in the audit log; after a second in any case."""
        if self._trail is not None:
            await self._trail.kept()
