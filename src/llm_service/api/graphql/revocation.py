"""The operations that run, so that the revocation of a key ends those that were begun with it."""

from collections.abc import Iterator
from contextlib import contextmanager

from llm_service.api.graphql.operation import Operation
from llm_service.domain import KeyRevoked
from llm_service.services import Authenticator

REVOKED = "The api key was revoked."


class Operations:
    """Those that last: subscriptions, and whatever runs over a WebSocket.

    Revocations are listened to while there are any: who tells of them outlives the settings that these have.
    """

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._running: dict[Operation, None] = {}

    @contextmanager
    def running(self, operation: Operation) -> Iterator[None]:
        """It runs while the block does."""
        if not self._running:
            self._authenticator.on_revoked(self._revoked)
        self._running[operation] = None
        try:
            yield
        finally:
            del self._running[operation]
            if not self._running:
                self._authenticator.off_revoked(self._revoked)

    def _revoked(self, key_id: str) -> None:
        for operation in tuple(self._running):
            if operation.caller_id == key_id:
                operation.revoke(KeyRevoked(REVOKED))
