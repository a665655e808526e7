"""Port to the answers under idempotency keys."""

from datetime import datetime
from typing import Literal, Protocol

from llm_service.domain import fact


@fact
class Replay:
    """What stands under an idempotency key.

    ``begun``: the request that asked holds it, and is to answer; ``running``: the request ``request_id`` of the process
    ``holder`` does; ``kept``: it has answered, with ``answer``; ``other``: the key stands for another request.
    """

    state: Literal["begun", "running", "kept", "other"]
    request_id: str
    holder: str
    answer: bytes | None = None


class ReplayStore(Protocol):
    """Answers under their ``Idempotency-Key``: what is asked again is not paid again.

    ``tenant`` says whose key it is (``key:<id>``): the same one of two tenants is two. A key is held by one request,
    until it keeps an answer or gives up. Each call is atomic between all processes that share the database; moments are
    aware UTC, by the clocks of those who call.
    """

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
        """Hold a key that nobody holds, or whose time is over; what stands under it otherwise.

        ``fingerprint`` says what is asked: no other bytes ask for the same. ``expires_at`` is later than the request
        can last, for then the key is free. Idempotent: the request that holds the key begins it again.
        """

    async def find(self, tenant: str, idempotency_key: str, *, fingerprint: bytes, now: datetime) -> Replay | None:
        """What stands under a key, which stays whose it is: running, kept or other; ``None``: nobody holds it."""

    async def keep(
        self, tenant: str, idempotency_key: str, *, request_id: str, answer: bytes, expires_at: datetime
    ) -> bool:
        """Keep the answer until then. Idempotent: the first one stays. False: the request does not hold the key."""

    async def give_up(self, tenant: str, idempotency_key: str, *, request_id: str) -> bool:
        """Let the key go: a failure does not burn it. False: the request does not hold it, or has kept an answer."""

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
        """Hold the key in place of a request whose process died, whose fingerprint stays.

        False: that request does not hold it any more, or has kept an answer.
        """

    async def remove_expired(self, now: datetime, count: int) -> int:
        """Remove what expired, the longest ago first, at most ``count`` in one transaction. How many that were."""
