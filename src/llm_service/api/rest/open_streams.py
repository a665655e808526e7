"""The streams that clients of REST read, so that the revocation of a key ends those that were asked for with it."""

from collections import Counter
from typing import Final

from llm_service.domain import KeyRevoked
from llm_service.services import Authenticator
from llm_service.streams import Stream

REVOKED: Final = "The api key was revoked."


class OpenStreams:
    """Each as often as it is read. Revocations are listened to while there are any."""

    __slots__ = ("_authenticator", "_open")

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._open: Counter[Stream] = Counter()

    def add(self, stream: Stream) -> None:
        """A client reads it from now on."""
        if not self._open:
            self._authenticator.on_revoked(self._revoked)
        self._open[stream] += 1

    def remove(self, stream: Stream) -> None:
        """That client reads it no more."""
        self._open[stream] -= 1
        if not self._open[stream]:
            del self._open[stream]
        if not self._open:
            self._authenticator.off_revoked(self._revoked)

    def _revoked(self, key_id: str) -> None:
        for stream in tuple(self._open):
            if stream.owner == key_id:
                stream.cancel(KeyRevoked(REVOKED))
