"""A replay store in memory: what the databases are compared with, and what stages are given in tests."""

from dataclasses import dataclass
from datetime import datetime

from llm_service.storage import Replay, StoreUnavailable


@dataclass(slots=True)
class Held:
    fingerprint: bytes
    request_id: str
    holder: str
    expires_at: datetime
    answer: bytes | None = None


class MemoryReplays:
    """A ReplayStore. ``away``: nothing answers; ``held``: what stands under whose keys."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], Held] = {}
        self.away = False

    async def begin(
        self,
        tenant: str,
        idempotency_key: str,
        *,
        fingerprint: bytes,
        request_id: str,
        holder: str,
        now: datetime,
        expires_at: datetime,
    ) -> Replay:
        held = self._held(tenant, idempotency_key)
        if held is None or held.expires_at <= now:
            self.held[tenant, idempotency_key] = Held(fingerprint, request_id, holder, expires_at)
            return Replay(state="begun", request_id=request_id, holder=holder)
        return self._found(held, fingerprint, request_id)

    async def find(self, tenant: str, idempotency_key: str, *, fingerprint: bytes, now: datetime) -> Replay | None:
        held = self._held(tenant, idempotency_key)
        return None if held is None or held.expires_at <= now else self._found(held, fingerprint, None)

    @staticmethod
    def _found(held: Held, fingerprint: bytes, request_id: str | None) -> Replay:
        if held.fingerprint != fingerprint:
            return Replay(state="other", request_id=held.request_id, holder=held.holder)
        if held.answer is not None:
            return Replay(state="kept", request_id=held.request_id, holder=held.holder, answer=held.answer)
        state = "begun" if held.request_id == request_id else "running"
        return Replay(state=state, request_id=held.request_id, holder=held.holder)

    async def keep(
        self, tenant: str, idempotency_key: str, *, request_id: str, answer: bytes, expires_at: datetime
    ) -> bool:
        held = self._held(tenant, idempotency_key)
        if held is None or held.request_id != request_id:
            return False
        held.answer = answer if held.answer is None else held.answer
        held.expires_at = expires_at
        return True

    async def give_up(self, tenant: str, idempotency_key: str, *, request_id: str) -> bool:
        if not self._runs(self._held(tenant, idempotency_key), request_id):
            return False
        del self.held[tenant, idempotency_key]
        return True

    async def take_over(
        self,
        tenant: str,
        idempotency_key: str,
        *,
        from_request_id: str,
        request_id: str,
        holder: str,
        expires_at: datetime,
    ) -> bool:
        held = self._held(tenant, idempotency_key)
        if held is None or not self._runs(held, from_request_id):
            return False
        held.request_id, held.holder, held.expires_at = request_id, holder, expires_at
        return True

    async def remove_expired(self, now: datetime, count: int) -> int:
        if self.away:
            raise StoreUnavailable("away")
        expired = sorted((held.expires_at, place) for place, held in self.held.items() if held.expires_at <= now)
        for _, place in expired[:count]:
            del self.held[place]
        return len(expired[:count])

    def _held(self, tenant: str, idempotency_key: str) -> Held | None:
        if self.away:
            raise StoreUnavailable("away")
        return self.held.get((tenant, idempotency_key))

    @staticmethod
    def _runs(held: Held | None, request_id: str) -> bool:
        return held is not None and held.answer is None and held.request_id == request_id
