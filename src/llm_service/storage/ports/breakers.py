"""Port to what processes tell each other of deployments that fail."""

from collections.abc import Sequence
from typing import Protocol

from llm_service.domain import fact
from llm_service.storage.ports.base import Reach


@fact
class BreakerNews:
    """How the breaker of a deployment is, for all processes. ``version``: later news have a higher one, of any breaker.

    ``since``: when it opened or closed, Unix seconds by the store's clock. ``left_s``: for how long nobody
    else sends anything from now on, be it for the pause or for a probe; ``pause_s``: how long the pause is.
    """

    name: str
    version: int
    is_open: bool
    since: float
    left_s: float
    pause_s: float
    cause: str


@fact
class BreakerAnswer:
    """Whether it is done as was asked, and how the breaker is now."""

    done: bool
    news: BreakerNews


@fact
class Ejection:
    """Of the breakers with these names at most so many may be open when one opens for its share of failures alone."""

    most: int
    names: Sequence[str]


class BreakerStore(Protocol):
    """The breakers that are open, or were lately; those of deployments that nobody spoke of for hours are forgotten.

    A process numbers its tries of a deployment, each higher than the one before. Times go by the store's clock. All
    methods raise StoreUnavailable.
    """

    reach: Reach

    async def open(self, name: str, *, cause: str, pause_s: float, within: Sequence[Ejection] = ()) -> BreakerAnswer:
        """Nothing is sent from now on. Not done where it is open already and paused or tried, or where one of
        ``within`` forbids it."""

    async def claim(
        self, name: str, *, number: int, lease_s: float, seen: int, cause: str, pause_s: float
    ) -> BreakerAnswer:
        """Be the one that tries, until its verdict is told or so much time has passed.

        Not done where it is paused, where another process tries already, or where it was closed by later news than
        the ``seen`` ones. A later try of this process takes the place of its last one. A breaker that the store knows
        nothing of is open for ``cause`` from then on.
        """

    async def failed(self, name: str, *, number: int, cause: str, pause_s: float, seen: int) -> BreakerAnswer:
        """The try failed: a new pause begins. Not done where its place has passed to another one, where that one's
        verdict is there already, or where it was closed by later news than the ``seen`` ones."""

    async def close(self, name: str, *, seen: int | None) -> BreakerAnswer:
        """The try went well: it is closed for all. Not done where it opened by later news than the ``seen`` ones;
        with ``None`` it closes whatever there is."""

    async def give_back(self, name: str, *, number: int) -> BreakerAnswer:
        """The try gave no verdict: any process may try next. Not done where its place has passed to another one."""

    async def news(self, since: int) -> tuple[int, Sequence[BreakerNews]]:
        """What happened after a version, in its order, and the newest version there is; lower than ``since`` where the
        store has lost its memory."""
