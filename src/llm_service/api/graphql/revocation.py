"""The operations that run, so that the revocation of a key ends those that were begun with it."""

from collections.abc import Iterator
from contextlib import contextmanager

from llm_service.api.graphql.operation import Operation
from llm_service.domain import KeyRevoked

REVOKED = "The api key was revoked."


class Operations:
    """Those that last: subscriptions, and whatever runs over a WebSocket."""

    def __init__(self) -> None:
        self._running: dict[Operation, None] = {}

    @contextmanager
    def running(self, operation: Operation) -> Iterator[None]:
        """It runs while the block does."""
        self._running[operation] = None
        try:
            yield
        finally:
            del self._running[operation]

    def revoked(self, key_id: str) -> None:
        """End what was begun with this key."""
        for operation in tuple(self._running):
            if operation.caller_id == key_id:
                operation.revoke(KeyRevoked(REVOKED))
