"""The operator's credentials at one provider: several take turns, and one that is limited or refused rests."""

from collections.abc import Mapping, Sequence
from typing import Final

from llm_service.domain import Secret, UpstreamAuthFailed, UpstreamError, UpstreamNoBalance, UpstreamRateLimited
from llm_service.runtime import Clock

LIMITED_S: Final = 1.0
"""How long a limited one rests where the provider does not say."""
LIMITED_MAX_S: Final = 60.0
REFUSED_S: Final = 60.0
"""How long one rests that was refused, or whose account has no balance: an operator has to act."""


class Credential:
    """One of them. ``headers``: all that a request for an answer is sent with, the credential among them."""

    __slots__ = ("headers", "rests_until", "secret")

    def __init__(self, secret: Secret | None, headers: Mapping[str, str]) -> None:
        self.secret = secret
        self.headers = headers
        self.rests_until = float("-inf")


class Credentials:
    """Hands them out in turn. A single one never rests: there is nobody to stand in for it."""

    __slots__ = ("_all", "_next", "_now", "single")

    def __init__(self, credentials: Sequence[Credential], clock: Clock) -> None:
        """At least one; that may hold no secret."""
        self._all = tuple(credentials)
        self._now = clock.monotonic
        self._next = 0
        self.single = self._all[0] if len(self._all) == 1 else None

    @property
    def first(self) -> Credential:
        """The one for questions about the provider itself."""
        return self._all[0]

    def take(self) -> Credential:
        """The next one that does not rest; where all do, the one that is up soonest."""
        if self.single is not None:
            return self.single
        now = self._now()
        for _ in self._all:
            credential = self._all[self._next]
            self._next = (self._next + 1) % len(self._all)
            if credential.rests_until <= now:
                return credential
        return min(self._all, key=lambda one: one.rests_until)

    def refused(self, credential: Credential, error: UpstreamError) -> bool:
        """A request with it failed so. Whether that is about the credential, and another one can be used at once."""
        rest_s = _rest_s(error)
        if rest_s is None or self.single is not None:
            return False
        now = self._now()
        credential.rests_until = now + rest_s
        return any(one.rests_until <= now for one in self._all)


def _rest_s(error: UpstreamError) -> float | None:
    if isinstance(error, UpstreamRateLimited):
        return min(error.retry_after_s or LIMITED_S, LIMITED_MAX_S)
    return REFUSED_S if isinstance(error, UpstreamAuthFailed | UpstreamNoBalance) and error.param is None else None
