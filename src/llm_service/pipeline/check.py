"""Stage: whether the request is one that may be sent at all, before anything is looked up, taken or asked for it."""

from collections.abc import Awaitable

from llm_service.domain import Reply
from llm_service.pipeline.abilities import check_abilities
from llm_service.pipeline.base import Exchange, Passing, Proceed
from llm_service.pipeline.bounds import check_bounds
from llm_service.pipeline.media import check_media
from llm_service.pipeline.options import ValidationOptions
from llm_service.pipeline.windows import Known, Windows


class Check(Passing):
    """Refuses what exceeds the bounds of the settings, and what no deployment of the route can serve.

    Fills ``exchange.output_cap``, where the answer that is asked for does not fit and may be shortened.
    """

    def __init__(self, options: ValidationOptions, windows: Windows, known: Known) -> None:
        self._options = options
        self._windows = windows
        self._known = known

    def passes(self, exchange: Exchange, proceed: Proceed) -> Awaitable[Reply] | None:
        """Check and go on; with a wait only where something has to be counted."""
        self.at_once(exchange)
        return None if self._windows.surely_hold(exchange) else self._counted(exchange, proceed)

    async def _counted(self, exchange: Exchange, proceed: Proceed) -> Reply:
        await self._windows.check(exchange)
        return await proceed(exchange)

    async def judge(self, exchange: Exchange) -> None:
        """The same, without going on. Raises InvalidValue and ContextLengthExceeded."""
        self.at_once(exchange)
        if not self._windows.surely_hold(exchange):
            await self._windows.check(exchange)

    def at_once(self, exchange: Exchange) -> None:
        """All but what takes counting. Raises InvalidValue."""
        request, options = exchange.request, self._options
        check_bounds(request, options)
        if request.is_text:
            return
        check_media(request, options, of_operator=exchange.caller.key is None)
        if options.model_facts == "refuse":
            check_abilities(exchange, self._known)
