"""Stage: the prompt is judged by the filters that ask somebody, before any answer is given or asked for."""

from collections.abc import Awaitable, Sequence

from llm_service.domain import Reply
from llm_service.filters import FilterOptions, has_token_ids, passages_of
from llm_service.pipeline.asking import Asking
from llm_service.pipeline.base import Exchange, Passing, Proceed
from llm_service.pipeline.screen import refusal


class Moderate(Passing):
    """Adds to ``exchange.verdicts``.

    It stands behind admission, so that what a limit refuses costs no verdict, and before everything that could answer:
    what is kept is not given before the verdict either. What is judged is what would be sent, masked.
    """

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def passes(self, exchange: Exchange, proceed: Proceed) -> Awaitable[Reply] | None:
        """Go on, or raise ContentFiltered; the limit, where one left no room for asking."""
        filters = [one for one in exchange.policy.asking if "input" in one.sides]
        return self._judged(exchange, filters, proceed) if filters else None

    async def _judged(self, exchange: Exchange, filters: Sequence[FilterOptions], proceed: Proceed) -> Reply:
        body = exchange.sent.body
        passages = None if has_token_ids(body) else passages_of(body)
        blocks = await self._asking.ask(exchange, filters, passages, "input")
        if blocks is not None and blocks.verdict is not None:
            raise blocks.why.again() if blocks.why is not None else refusal(blocks.verdict, None)
        return await proceed(exchange)
