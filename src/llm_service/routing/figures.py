"""How the deployments of a provider have been doing, as whoever sends requests to them has noticed."""

from typing import Literal, Protocol

from llm_service.domain import fact


@fact
class TrippedBreaker:
    """A breaker that is not closed. ``since``: Unix seconds. ``cause``: in words, without secrets.

    ``untried_s``: for how many seconds a request might have tried the deployment, and none has.
    """

    upstream_model: str
    state: Literal["open", "half_open"]
    cause: str
    since: float
    untried_s: float = 0.0


@fact
class ProviderFigures:
    """Of one provider in this process; requests and times are those of the last minute.

    ``failures``: of the ``requests``, those that count against the provider. ``first_content_p50_s``, ``_p95_s``:
    seconds to the first content, ``None`` where nothing was measured. ``in_flight``: sent and not ended; ``pending``:
    of these, without any content yet. ``waiting``: for a place. ``deployments``: how many have been asked.
    ``last_error_at``: monotonic seconds.
    """

    requests: int = 0
    failures: int = 0
    first_content_p50_s: float | None = None
    first_content_p95_s: float | None = None
    in_flight: int = 0
    pending: int = 0
    waiting: int = 0
    deployments: int = 0
    tripped: tuple[TrippedBreaker, ...] = ()
    last_error_code: str | None = None
    last_error_at: float | None = None

    @property
    def judged(self) -> int:
        """Requests of which it is known how they fare: those that failed began earlier, and may be more than began."""
        return max(self.failures, self.requests - self.pending)


class Measures(Protocol):
    """Whoever keeps the figures."""

    def figures(self, provider: str, now: float) -> ProviderFigures:
        """Of one provider, at a moment in monotonic seconds; one that nobody has asked has none but zeros."""
